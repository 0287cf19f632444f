import type { ReactNode } from 'react'
import classes from './Boxes.module.css'

interface Props {
  /** What there is none of: "No queues yet". */
  title: string
  /** One sentence that teaches what such a thing is good for. */
  children?: ReactNode
  /** A snippet that makes the first one, or a button. */
  more?: ReactNode
}

/** What stands where nothing is yet. */
export function Empty({ title, children, more }: Props) {
  return (
    <div className={classes.empty}>
      <div className={classes.emptyText}>
        <strong>{title}</strong>
        {children && <div className="pc-dim">{children}</div>}
      </div>
      {more && <div className={classes.emptyMore}>{more}</div>}
    </div>
  )
}
