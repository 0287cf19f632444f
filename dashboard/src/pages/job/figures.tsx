import type { ReactNode } from 'react'
import { Ago, Bytes, Duration, format, Money } from '~/parts'
import classes from './job.module.css'
import { isOver, type Job, lastAttempt } from './shape'

/** The figures of a job in one strip. */
export function Figures({ job }: { job: Job }) {
  const over = isOver(job)
  const runs = job.status === 'processing'
  const { user, system } = job.cputime
  const { max_usage: peak, limit, failcnt } = job.memory
  const begun = lastAttempt(job)?.started
  return (
    <dl className={`pc-card ${classes.figures}`}>
      <Figure name="Runtime" note={over ? undefined : runs ? 'so far' : 'not begun'}>
        {job.runtime !== null && (!runs || begun == null) ? <Duration ms={job.runtime * 1000} /> : <Duration from={runs ? begun : null} />}
      </Figure>
      <Figure name="CPU" note={runs && job.cpu_percentage !== null ? `${Math.round(job.cpu_percentage / job.cores)} % of its ${job.cores === 1 ? 'core' : 'cores'} now` : user != null && system != null ? `${format.duration(user * 1000)} user, ${format.duration(system * 1000)} system` : undefined}>
        <Duration ms={user != null ? (user + (system ?? 0)) * 1000 : null} />
      </Figure>
      <Figure name="Peak memory" note={peak != null && limit ? `${share(peak, limit)} of ${format.bytes(limit)}` : undefined}>
        <Bytes value={peak} />
      </Figure>
      <Figure name="MemAlloc fails" bad={Boolean(failcnt)} note={failcnt ? 'requests refused' : undefined}>
        {failcnt ?? '–'}
      </Figure>
      <Figure name="Cost" note={job.cost.estimate ? 'so far' : undefined}>
        <Money value={job.cost.amount} />
      </Figure>
      <Figure name={over ? 'Ended' : 'Submitted'} note={over ? <Submitted job={job} /> : undefined}>
        <Ago at={over ? job.finished : job.created} />
      </Figure>
    </dl>
  )
}

const share = (part: number, whole: number) => `${part / whole < 0.01 ? '< 1' : Math.round((part / whole) * 100)} %`

const Submitted = ({ job }: { job: Job }) => (
  <>
    submitted <Ago at={job.created} />
  </>
)

function Figure({ name, note, bad, children }: { name: string; note?: ReactNode; bad?: boolean; children: ReactNode }) {
  return (
    <div className={classes.figure}>
      <dt>{name}</dt>
      <dd data-bad={bad || undefined}>{children}</dd>
      <dd className={classes.note}>{note}</dd>
    </div>
  )
}
