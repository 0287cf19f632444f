import { Duration, type Column, Count, format, Status, Table } from '~/parts'
import type { ApiError } from '~/api/error'
import type { ReactNode } from 'react'
import { to } from '~/layout/routes'
import { ceiling, rate, spell } from './figures'
import type { Queue } from './plan'
import classes from './table.module.css'

const DASH = <span className="pc-dim">–</span>
const NEVER = 1e12
/** Below any figure: what has none comes last when the largest come first. */
const NONE = -1

const COLUMNS: Column<Queue>[] = [
  { key: 'name', title: 'Queue', text: (one) => one.name, sort: (one) => one.name, cell: (one) => one.name },
  { key: 'state', title: 'State', from: 'sm', cell: (one) => <State queue={one} /> },
  { key: 'handler', title: 'Handler', from: 'md', text: (one) => one.handler?.name ?? '', sort: (one) => one.handler?.name ?? '', cell: (one) => (one.handler ? <span className={`pc-cut ${classes.handler}`}>{one.handler.name}</span> : DASH) },
  { key: 'jobs', title: 'Jobs', align: 'right', from: 'md', sort: (one) => one.handler?.running ?? NONE, cell: (one) => (one.handler ? `${one.handler.running} / ${format.count(one.handler.max_parallel_jobs)}` : DASH) },
  { key: 'count', title: 'Waiting', align: 'right', sort: (one) => one.count, cell: (one) => <Count value={one.count} /> },
  { key: 'hand', title: 'In hand', align: 'right', sort: (one) => one.in_hand, cell: (one) => <Count value={one.in_hand} /> },
  { key: 'in', title: 'In', align: 'right', sort: (one) => one.enqueue_rate, cell: (one) => rate(one.enqueue_rate) },
  { key: 'out', title: 'Out', align: 'right', sort: (one) => one.dequeue_rate, cell: (one) => rate(one.dequeue_rate) },
  { key: 'oldest', title: 'Oldest', align: 'right', sort: (one) => one.oldest ?? NONE, cell: (one) => <Duration ms={spell(one.oldest)} /> },
  { key: 'empty', title: 'Empty in', align: 'right', sort: (one) => one.empty_in ?? NEVER, cell: (one) => <EmptyIn queue={one} /> },
  { key: 'dead', title: 'Dead', align: 'right', sort: (one) => one.dead, cell: (one) => (one.dead ? <Status state="error">{format.count(one.dead)}</Status> : '0') },
  { key: 'ceiling', title: 'At most', align: 'right', from: 'sm', sort: (one) => one.handler?.ceiling ?? NONE, cell: (one) => (one.handler ? ceiling(one.handler.ceiling) : DASH) },
]

/** What a queue does now. */
export function State({ queue }: { queue: Queue }) {
  const handler = queue.handler
  if (queue.paused) return <Status state="paused" />
  if (handler?.trouble) return <Status state="trouble" tone="warns">{`trouble: ${handler.trouble}`}</Status>
  if (!handler) return <Status state="off">no handler</Status>
  if (handler.running) return <Status state="processing">working</Status>
  if (handler.starting) return <Status state="queued">starting</Status>
  return <Status state="idle" tone="off" />
}

/** When it will be empty at this rate. */
export function EmptyIn({ queue }: { queue: Queue }) {
  if (!queue.count) return <span className="pc-dim">empty</span>
  if (queue.empty_in === null) return <span title={queue.dequeue_rate ? 'More comes than goes' : 'Nothing goes'}>never</span>
  return <Duration ms={spell(queue.empty_in)} />
}

interface Props {
  queues: Queue[] | undefined
  error: ApiError | undefined
  empty: ReactNode
}

export function QueueTable({ queues, error, empty }: Props) {
  return <Table label="Queues" columns={COLUMNS} rows={queues} error={error} id={(one) => one.name} href={(one) => to.queue(one.name)} empty={empty} />
}
