import { Fragment, useMemo } from 'react'
import { Copy, Section } from '~/parts'
import { painted } from './python'
import type { Job } from './shape'
import classes from './source.module.css'

/** The function as it was sent, and what it was given. */
export function Source({ job }: { job: Job }) {
  const { source, file, line, module } = job.function
  const words = useMemo(() => (source ? painted(dedented(source)) : []), [source])
  const where = file ? `${file}${line ? `:${line}` : ''}` : module
  const about = [module && module !== '__main__' && !file?.includes(module) ? module : '', where ?? ''].filter(Boolean).join(' · ')
  if (!source && !job.args) return null
  return (
    <Section title="Function" actions={<span className={`pc-dim ${classes.where}`} title={about}>{about}</span>}>
      <div className={`pc-card ${classes.box}`}>
        {source && (
          <div className={classes.code}>
            {/* It scrolls, so the keyboard must reach it. */}
            {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
            <pre tabIndex={0} aria-label="Source of the function">
              {words.map((one, at) => (one.kind ? <span key={at} className={classes[one.kind]}>{one.text}</span> : <Fragment key={at}>{one.text}</Fragment>))}
            </pre>
            <div className={classes.copy}>
              <Copy text={source} label="Copy the source" />
            </div>
          </div>
        )}
        {job.args && (
          <div className={classes.args}>
            <span className="pc-dim">Called with</span>
            <code>({job.args})</code>
          </div>
        )}
      </div>
    </Section>
  )
}

/** Without the indentation that all of it shares. */
function dedented(source: string): string {
  const lines = source.replaceAll('\t', '    ').trimEnd().split('\n')
  const depth = Math.min(...lines.filter((one) => one.trim()).map((one) => one.length - one.trimStart().length))
  return lines.map((one) => one.slice(Number.isFinite(depth) ? depth : 0)).join('\n')
}
