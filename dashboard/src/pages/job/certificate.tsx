import { Anchor } from '@mantine/core'
import { IconBulb } from '@tabler/icons-react'
import { Link } from 'wouter'
import { sentence } from '~/api/error'
import { to } from '~/layout/routes'
import { causeWords, Chart, format, Section } from '~/parts'
import classes from './certificate.module.css'
import { ended, type Failure, type Job, lastAttempt } from './shape'
import { Text } from './text'

const OUTCOMES: Record<string, string> = { killed: 'Ended', stalled: 'Did not run' }

/** Why it failed, and what to do: the first thing that one wants to know. */
export function Certificate({ job }: { job: Job }) {
  const { failure } = job
  if (!failure) return job.status === 'done' || !job.cause ? null : <Plain job={job} />
  const python = failure.traceback || (job.exception?.includes('\n') ? job.exception : '')
  return (
    <section className={classes.box} data-tone={failure.cause === 'killed' ? 'off' : job.status === 'stalled' ? 'warns' : undefined} aria-labelledby="certificate">
      <h2 id="certificate" className={classes.title}>
        <span className={classes.kind}>{OUTCOMES[job.status] ?? 'Failed'}:</span>
        {causeWords(failure.cause)}
      </h2>
      <p className={classes.message}>{sentence(failure.message)}</p>
      {failure.advice && (
        <p className={classes.advice}>
          <IconBulb size={17} aria-hidden />
          <span>{sentence(failure.advice)}</span>
        </p>
      )}
      <Limits failure={failure} />
      <Evidence job={job} failure={failure} />
      {python && <Text title="Traceback" text={python} open />}
      {failure.stacks && <Text title="Stacks of all threads" text={failure.stacks} open />}
      {failure.log_tail && <Text title="Printed last" text={failure.log_tail} open={!python && !failure.stacks} />}
    </section>
  )
}

/** It ended without a certificate: by hand, or because of another job. */
function Plain({ job }: { job: Job }) {
  return (
    <section className={classes.box} data-tone="off" aria-labelledby="certificate">
      <h2 id="certificate" className={classes.title}>
        <span className={classes.kind}>{sentence(job.status)}{job.cause && job.cause !== job.status && ':'}</span>
        {job.cause !== job.status && causeWords(job.cause ?? '')}
      </h2>
      {job.exception && <p className={classes.message}>{job.exception}</p>}
      {job.cause === 'dependency' && job.depends_on[0] && (
        <p className={classes.message}>
          A job that it waited for did not succeed, such as{' '}
          <Anchor component={Link} href={to.job(job.depends_on[0][0])}>
            job {job.depends_on[0][0]}
          </Anchor>
          .
        </p>
      )}
    </section>
  )
}

/** What it used, and might have used. */
function Limits({ failure }: { failure: Failure }) {
  const { peak_memory: peak, memory_limit: limit, facts = {} } = failure
  const rows: [string, string][] = []
  if (typeof peak === 'number') rows.push(['Memory at most', format.bytes(peak)])
  if (typeof limit === 'number') rows.push(['Memory allowed', format.bytes(limit)])
  if (failure.refused) rows.push(['Requests for memory refused', format.count(failure.refused)])
  if (failure.kernel_kills) rows.push(['Processes killed by the kernel', format.count(failure.kernel_kills)])
  if (typeof facts.max_runtime_ms === 'number') rows.push(['Time allowed', format.duration(facts.max_runtime_ms)])
  if (failure.signal) rows.push(['Signal', failure.signal])
  if (typeof failure.exit_code === 'number') rows.push(['Exit code', String(failure.exit_code)])
  if (failure.type) rows.push(['Exception', failure.type])
  if (!rows.length) return null
  return (
    <dl className={classes.limits}>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** Memory and CPU of its last minute. */
function Evidence({ job, failure }: { job: Job; failure: Failure }) {
  const last = failure.last_minute ?? []
  if (last.length < 2) return null
  const begun = lastAttempt(job)?.started ?? job.created
  const times = last.map((one) => begun + one.at_ms)
  const limit = failure.memory_limit ?? job.memory.limit
  const share = (of: 'cpu_user_us' | 'cpu_system_us', at: number) => {
    const [now, before] = [last[at], last[at - 1]]
    const span = (now?.at_ms ?? 0) - (before?.at_ms ?? 0)
    return now && span > 0 ? Math.max(0, now[of] - (before?.[of] ?? 0)) / span / 10 / job.cores : null
  }
  // of a sample with a new peak that: it came and went since the one before
  const memory = ended(
    last.map((one, at) => (one.peak > (last[at - 1]?.peak ?? 0) ? one.peak : one.memory)),
    job,
  )
  const peak = Math.max(...last.map((one) => one.peak))
  return (
    <Section title="Its last minute">
      <div className={classes.pair}>
        <Chart
          title="Memory"
          times={times}
          height={120}
          format={format.bytes}
          binary
          lines={[{ label: 'used', values: memory, color: 'bad', area: true }]}
          limit={limit && (failure.cause === 'out_of_memory' || peak > limit / 5) ? { value: limit, label: 'limit' } : undefined}
        />
        <Chart
          title="CPU, % of its cores"
          times={times}
          height={120}
          atLeast={100}
          format={(value) => `${Math.round(value)} %`}
          lines={[
            { label: 'user', values: last.map((_, at) => share('cpu_user_us', at)), color: 'accent', area: true },
            { label: 'system', values: last.map((_, at) => share('cpu_system_us', at)), color: 'second', area: true },
          ]}
        />
      </div>
    </Section>
  )
}
