import type { Shape } from '~/api/types'
import { format } from '~/parts'
import classes from './jobs.module.css'

/** How far a map is: done, failed, running, and what is still to come. */
export function Progress({ map }: { map: Shape<'Folded'> }) {
  const parts = [
    { tone: 'good', count: map.done, word: 'done' },
    { tone: 'bad', count: map.failed, word: 'failed' },
    { tone: 'busy', count: map.running, word: 'running' },
    { tone: 'waits', count: map.queued, word: 'queued' },
    { tone: 'waits', count: map.waiting, word: 'waiting' },
  ].filter((one) => one.count > 0)
  const said = `${parts.map((one) => `${format.count(one.count)} ${one.word}`).join(', ')} of ${format.count(map.count)}`
  return (
    <span className={classes.progress} title={said}>
      <span className={classes.bar} role="img" aria-label={said}>
        {parts.map((one) => (
          <span key={one.word} data-tone={one.tone} style={{ flexGrow: one.count }} />
        ))}
      </span>
      <span className={classes.share}>
        {share(map)}
        {map.failed > 0 ? <span className={classes.failed}> · {format.short(map.failed)} failed</span> : map.running > 0 && <span className="pc-dim"> · {format.short(map.running)} running</span>}
      </span>
    </span>
  )
}

/** Never "100%" before all is over. */
function share({ done, failed, count, over }: Shape<'Folded'>): string {
  if (over) return failed ? `${Math.floor((100 * done) / count)}% done` : 'done'
  return `${Math.min(99, Math.floor((100 * (done + failed)) / Math.max(1, count)))}%`
}
