import { Link } from 'wouter'
import { useSearch } from 'wouter/use-browser-location'
import type { Answer } from '~/api/types'
import { format } from '~/parts'
import classes from './jobs.module.css'

const STATES = [
  { state: 'waiting', title: 'Waiting' },
  { state: 'queued', title: 'Queued' },
  { state: 'processing', title: 'Processing' },
  { state: 'done', title: 'Done' },
  { state: 'error', title: 'Error' },
  { state: 'stalled', title: 'Stalled' },
  { state: 'killed', title: 'Killed' },
]

interface Props {
  state: string | undefined
  counts: Answer<'/v1/job/count'> | undefined
}

/** Jobs by state, with their numbers; each is a link that keeps the other filters. */
export function Tabs({ state, counts }: Props) {
  const search = useSearch()
  const href = (to: string) => {
    const query = new URLSearchParams(search)
    query.delete('before')
    query.delete('state')
    if (to) query.set('state', to)
    return query.size ? `/jobs?${query}` : '/jobs'
  }
  const all = counts && Object.values(counts.states).reduce((sum, one) => sum + one, 0)
  const tab = (to: string, title: string, count: number | undefined) => (
    <Link key={to} href={href(to)} className={classes.tab} aria-current={(state ?? '') === to ? 'page' : undefined} data-none={count === 0 || undefined}>
      {title}
      <span className={classes.count} title={count === undefined ? undefined : format.count(count)}>
        {count === undefined ? '·' : count < 100_000 ? format.count(count) : format.short(count)}
      </span>
    </Link>
  )
  return (
    <nav className={classes.tabs} aria-label="Jobs by state">
      {tab('', 'All', all)}
      {STATES.map((one) => tab(one.state, one.title, counts && (counts.states[one.state] ?? 0)))}
    </nav>
  )
}
