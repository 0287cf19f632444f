import { Handle, type NodeProps, Position, useReactFlow } from '@xyflow/react'
import { IconPlayerPauseFilled } from '@tabler/icons-react'
import type { FocusEvent, ReactNode } from 'react'
import { Link } from 'wouter'
import { to } from '~/layout/routes'
import { count, short } from '~/parts/format'
import { rate } from './figures'
import { useQueue } from './live'
import classes from './graph.module.css'

/** Where ways end, for React Flow; the lines themselves are laid by plan.ts. */
const Ends = () => (
  <>
    <Handle type="target" position={Position.Left} className={classes.end} isConnectable={false} />
    <Handle type="source" position={Position.Right} className={classes.end} isConnectable={false} />
  </>
)

/** Words that eyes do not need. */
const Unseen = ({ children }: { children: ReactNode }) => <span className="pc-unseen">{children} </span>

/** Who goes through the drawing by the keyboard sees where she is. */
function useSeen(id: string) {
  const flow = useReactFlow()
  return (event: FocusEvent<HTMLAnchorElement>) => {
    if (!event.currentTarget.matches(':focus-visible')) return
    const { left, right, top, bottom } = event.currentTarget.getBoundingClientRect()
    const around = event.currentTarget.closest('.react-flow')?.getBoundingClientRect()
    if (around && left >= around.left && right <= around.right && top >= around.top && bottom <= around.bottom) return
    void flow.fitView({ nodes: [{ id }], maxZoom: Math.max(0.6, flow.getZoom()), minZoom: 0.6 })
  }
}

export function QueueNode({ id, data }: NodeProps) {
  const name = String(data.name)
  const queue = useQueue(name)
  const seen = useSeen(id)
  if (!queue) return <Ends />
  const state = queue.paused ? 'paused' : queue.count + queue.in_hand > 0 ? 'busy' : 'idle'
  return (
    <>
      <Ends />
      <Link href={to.queue(name)} className={classes.queue} data-state={state} title={name} onFocus={seen}>
        <span className={classes.name}>
          <Unseen>{queue.paused ? 'Paused queue' : 'Queue'}</Unseen>
          {queue.paused && <IconPlayerPauseFilled size={11} aria-hidden />}
          <span className="pc-cut">{name}</span>
        </span>
        <span className={classes.figures}>
          <b className={classes.waiting}>{short(queue.count)}</b>
          <Unseen>waiting</Unseen>
          {queue.in_hand > 0 && <span>{short(queue.in_hand)} in hand</span>}
          {queue.dead > 0 && <span className={classes.dead}>{short(queue.dead)} dead</span>}
        </span>
        <span className={classes.rates}>
          <span>{rate(queue.enqueue_rate)} in</span>
          <span>{rate(queue.dequeue_rate)} out</span>
        </span>
      </Link>
    </>
  )
}

export function HandlerNode({ id, data }: NodeProps) {
  const name = String(data.name)
  const queue = useQueue(name)
  const seen = useSeen(id)
  const handler = queue?.handler
  if (!handler) return <Ends />
  const most = handler.max_parallel_jobs
  const jobs = `${handler.running} of ${count(most)} ${most === 1 ? 'job' : 'jobs'}`
  const state = handler.trouble ? 'trouble' : handler.running ? 'busy' : handler.starting ? 'starts' : 'idle'
  const beside = handler.trouble ? `: ${handler.trouble}` : handler.starting ? `, ${handler.starting} starting` : ''
  return (
    <>
      <Ends />
      <Link href={to.queue(name)} className={classes.handler} data-state={state} title={`${handler.name}: ${jobs}${beside}`} onFocus={seen}>
        <Unseen>
          Handler of {name}
        </Unseen>
        <b>
          {handler.running}
          <i>/{short(most)}</i>
        </b>
        <small>{most === 1 ? 'job' : 'jobs'}</small>
        <span className={classes.caption}>{handler.name}</span>
      </Link>
    </>
  )
}
