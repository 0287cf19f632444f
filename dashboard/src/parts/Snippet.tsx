import classes from './Boxes.module.css'
import { Copy } from './Copy'

interface Props {
  /** The code, of one line or several. */
  code: string
  /** What it is for, above it. */
  title?: string
}

/** Code to copy. */
export function Snippet({ code, title }: Props) {
  return (
    <div className={classes.snippet}>
      {title && <div className={classes.snippetTitle}>{title}</div>}
      {/* It scrolls sideways, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={classes.code} tabIndex={0} aria-label={title ?? 'Code'}>
        {code}
      </pre>
      <div className={classes.snippetCopy}>
        <Copy text={code} />
      </div>
    </div>
  )
}
