import { useMemo } from 'react'
import { format, Section, Status, useNow } from '~/parts'
import { isOver, type Job } from './shape'
import classes from './timeline.module.css'

type Stage = Job['stages'][number]

const WORDS: Record<string, string> = { waiting: 'waited for others', queued: 'queued', environment: 'environment', import: 'import', run: 'run' }

interface Row {
  n: number
  stages: Stage[]
}

/** What happened to it, a row for each attempt, drawn on one scale. */
export function Timeline({ job }: { job: Job }) {
  const over = isOver(job)
  const now = Math.max(useNow(!over), job.created)
  const rows = useMemo(() => attempts(job.stages), [job.stages])
  const begins = job.stages[0]?.begins ?? job.created
  const ends = over ? (job.finished ?? now) : now
  const whole = Math.max(1, ends - begins)
  return (
    <Section
      title="History"
      actions={
        <span className="pc-dim">
          {format.time(begins)} – {over ? format.time(ends) : 'now'}, {format.duration(Math.max(0, over ? whole : Math.floor(whole / 1000) * 1000))} in all
        </span>
      }
    >
      <ol className={`pc-card ${classes.rows}`}>
        {rows.map((row) => (
          <Attempt key={row.n} row={row} job={job} begins={begins} whole={whole} now={now} alone={rows.length === 1} />
        ))}
      </ol>
    </Section>
  )
}

function Attempt({ row, job, begins, whole, now, alone }: { row: Row; job: Job; begins: number; whole: number; now: number; alone: boolean }) {
  const told = job.attempts.find((one) => one.n === row.n)
  const first = row.stages[0]?.begins ?? begins
  const length = (one: Stage) => Math.max(0, (one.ends ?? now) - one.begins)
  const end = row.stages.at(-1)
  const rest = Math.max(0, begins + whole - (end?.ends ?? now))
  return (
    <li className={classes.row}>
      <div className={classes.head}>
        {!alone && <strong>Attempt {row.n}</strong>}
        {told?.ended ? <Status state={told.cause === 'none' ? 'done' : alone ? job.status : 'error'} cause={told.cause} /> : <Status state={job.status} />}
        {told && <span className={`pc-dim ${classes.worker}`}>on worker {told.worker.slice(0, 8)}</span>}
      </div>
      <div className={classes.bar} aria-hidden>
        <span style={{ flexGrow: first - begins }} />
        {row.stages.map((one) => (
          <span key={`${one.stage}${one.begins}`} className={classes.stage} data-stage={one.stage} data-live={one.ends === null || undefined} style={{ flexGrow: Math.max(1e-6, length(one)) }} title={`${WORDS[one.stage]}: ${format.duration(length(one))}`} />
        ))}
        <span style={{ flexGrow: rest }} />
      </div>
      <ul className={classes.legend} aria-label={`Stages of attempt ${row.n}`}>
        {row.stages.map((one) => (
          <li key={`${one.stage}${one.begins}`}>
            <span className={classes.dot} data-stage={one.stage} aria-hidden />
            {WORDS[one.stage] ?? one.stage} <b>{one.ends === null ? format.duration(Math.floor(length(one) / 1000) * 1000) : format.duration(length(one))}</b>
            {one.ends === null && <span className="pc-dim">…</span>}
          </li>
        ))}
      </ul>
      {told?.message && !alone && <div className={classes.why}>{told.message}</div>}
    </li>
  )
}

function attempts(stages: Stage[]): Row[] {
  const rows: Row[] = []
  for (const one of stages) {
    const last = rows.at(-1)
    if (last?.n === one.attempt) last.stages.push(one)
    else rows.push({ n: one.attempt, stages: [one] })
  }
  return rows
}
