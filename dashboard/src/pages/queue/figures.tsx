import type { Shape } from '~/api/types'
import { Count, Duration, format, Tile, Tiles } from '~/parts'
import { rate, spell } from '../queues/figures'
import { EmptyIn } from '../queues/table'

const percent = (share: number) => (share === 0 || share >= 0.1 ? `${Math.round(share * 100)} %` : share < 0.001 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`)

/** What waits, for how long, and how fast it goes. */
export function Figures({ queue }: { queue: Shape<'InsideWhole'> | undefined }) {
  return (
    <Tiles>
      <Tile title="Waiting" value={queue && <Count value={queue.count} />} note={queue && (queue.delayed ? `${format.count(queue.delayed)} delayed` : 'none delayed')} />
      <Tile title="In hand" value={queue && <Count value={queue.in_hand} />} note="of jobs and programs" />
      <Tile title="In" value={queue && rate(queue.enqueue_rate)} note="pushed" />
      <Tile title="Out" value={queue && rate(queue.dequeue_rate)} note="handled or popped" />
      <Tile title="Oldest" value={queue && <Duration ms={spell(queue.oldest)} />} note="waits so long" />
      <Tile title="Empty in" value={queue && <EmptyIn queue={queue} />} note="at this rate" />
      <Tile title="Failed" value={queue && percent(queue.error_share)} note={queue && `${format.count(queue.dead)} dead letters`} />
    </Tiles>
  )
}
