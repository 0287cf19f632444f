import type { Shape } from '~/api/types'
import { Count, format, Money, Tile, Tiles, useWho } from '~/parts'
import { to } from '~/layout/routes'
import { linked } from '~/layout/linked'
import classes from './home.module.css'

/** What runs and waits now, how busy the machine is, what there is to spend. */
export function Figures({ status }: { status: Shape<'Status'> | undefined }) {
  const { owner } = useWho()
  const jobs = status?.jobs
  return (
    <Tiles>
      <Tile title="Running now" value={jobs && <Count value={jobs.processing ?? 0} />} note={status && slots(status)} href={linked(to.jobs({ state: 'processing' }))} />
      <Tile title="Queued" value={jobs && <Count value={jobs.queued ?? 0} />} note={jobs && `${format.count(jobs.waiting ?? 0)} waiting for others`} href={linked(to.jobs({ state: 'queued' }))} />
      <Tile title={owner ? 'Cores busy' : 'Your cores busy'} value={status && <Busy status={status} />} note={status && `${format.bytes(status.capacity.memory)} of memory`} href={owner ? linked('/cluster') : undefined} />
      <Tile title="Spent this month" value={status && <Money value={status.money.spent} />} note={status && <Credit money={status.money} />} href={linked('/usage')} />
    </Tiles>
  )
}

function slots({ workers }: Shape<'Status'>): string {
  if (!workers.length) return 'workers start with the next job'
  const all = workers.reduce((sum, one) => sum + one.slots, 0)
  const busy = workers.reduce((sum, one) => sum + one.busy, 0)
  return `${busy} of ${all} slots, ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'}`
}

/** Cores that are worked on: each busy slot has those of its worker's kind, and no more can be busy than there are. */
function Busy({ status }: { status: Shape<'Status'> }) {
  const asked = status.workers.reduce((sum, one) => sum + one.busy * one.cores, 0)
  return (
    <>
      {Math.min(asked, status.capacity.cores)} <span className={classes.of}>of {status.capacity.cores}</span>
    </>
  )
}

function Credit({ money }: { money: Shape<'Money'> }) {
  if (money.stopped) return <>jobs are stopped: {money.stopped}</>
  if (money.beyond > 0) return <>{format.money(money.beyond)} beyond your credit</>
  return <>{format.money(money.left)} of credit left</>
}
