import classes from './Meter.module.css'

interface Props {
  /** What is measured: "Memory". */
  label: string
  value: number
  /** The whole; 0 = nothing is drawn. */
  of: number
  /** How it is said: "3 of 8 cores". */
  said: string
  tone?: 'accent' | 'good' | 'warns' | 'bad'
  /** Only the bar, as in tables; what it says is for who cannot see it. */
  bare?: boolean
}

/** How much of something is taken, as a bar with its words. */
export function Meter({ label, value, of, said, tone = 'accent', bare }: Props) {
  const part = of > 0 ? Math.max(0, Math.min(1, value / of)) : 0
  return (
    <div className={classes.meter}>
      {!bare && (
        <div className={classes.words}>
          <span>{label}</span>
          <span className="pc-dim">{said}</span>
        </div>
      )}
      <div className={classes.bar} role="meter" aria-label={label} aria-valuenow={Math.round(part * 100)} aria-valuemin={0} aria-valuemax={100} aria-valuetext={said} title={said}>
        <div className={classes.full} style={{ width: `${part * 100}%`, background: `var(--pc-${tone})` }} />
      </div>
    </div>
  )
}
