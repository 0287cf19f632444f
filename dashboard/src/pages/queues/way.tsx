import { EdgeLabelRenderer, type Edge, type EdgeProps } from '@xyflow/react'
import { rate } from './figures'
import { useQueue } from './live'
import { line, type Way } from './plan'
import classes from './graph.module.css'

/** Messages a second at which dots move as fast as they do. */
const FAST = 100

const ARROW = 'pipeline-way'
const ERROR_ARROW = 'pipeline-errors'

/** The heads that the lines have. */
export const Arrows = () => (
  <svg width="0" height="0" className={classes.arrows} aria-hidden>
    <defs>
      {[ARROW, ERROR_ARROW].map((id) => (
        <marker key={id} id={id} viewBox="0 0 10 10" refX="8" refY="5" markerWidth="10" markerHeight="10" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M1,1 L8.5,5 L1,9" className={classes.arrow} data-errors={id === ERROR_ARROW || undefined} />
        </marker>
      ))}
    </defs>
  </svg>
)

/** A line with dots that move while messages do. */
export function WayEdge({ data }: EdgeProps<Edge<{ way: Way }>>) {
  const way = data?.way
  const queue = useQueue(way?.queue ?? '')
  if (!way || !queue) return null
  const failing = way.errors.length > 0
  const speed = failing ? queue.dequeue_rate * queue.error_share : queue.dequeue_rate
  const path = line(way.points)
  const arrow = failing ? ERROR_ARROW : ARROW
  const towards = way.to.startsWith('h:')
  const middle = way.points[Math.floor((way.points.length - 1) / 2)]
  const label = failing ? way.errors.join(', ') : towards && queue.dequeue_rate > 0 ? rate(queue.dequeue_rate) : ''
  return (
    <>
      <path d={path} className={classes.way} data-errors={failing || undefined} markerEnd={`url(#${arrow})`} />
      {speed > 0 && <path d={path} className={classes.flow} data-errors={failing || undefined} style={{ animationDuration: `${pace(speed)}s` }} />}
      {label && middle && (
        <EdgeLabelRenderer>
          <span className={classes.label} data-errors={failing || undefined} title={label} style={{ transform: `translate(-50%, -50%) translate(${middle.x}px, ${middle.y + (failing ? 0 : -11)}px)` }}>
            {label}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  )
}

/** Seconds in which a dot comes to where the next one was: from 2.4 for a trickle to 0.5. In steps, so that it does not stutter as rates change. */
function pace(speed: number): number {
  const step = Math.round(4 * Math.min(1, Math.log10(1 + speed) / Math.log10(1 + FAST)))
  return 2.4 - (1.9 * step) / 4
}
