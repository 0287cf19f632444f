import { Link } from 'wouter'
import classes from './brand.module.css'

/** The mark and the name; leads home. */
export function Brand() {
  return (
    <Link href="/" className={classes.brand}>
      <svg viewBox="0 0 32 32" width={22} height={22} aria-hidden>
        <rect width="32" height="32" rx="8" fill="#4650c8" />
        <path d="M8 12.2c2-2.2 4-2.2 8-2.2h8M13 10.5v12M20 10.5v8.5c0 2 1 3 3 3" fill="none" stroke="#fff" strokeWidth="2.8" strokeLinecap="round" />
      </svg>
      PiCloud
    </Link>
  )
}
