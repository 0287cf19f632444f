import { useMemo } from 'react'
import { Chart, type Line, format, Section, Status } from '~/parts'
import classes from './job.module.css'
import type { Sample } from './samples'
import { ended, isOver, type Job, lastAttempt } from './shape'

/** Of a limit, from which on its line is drawn: below that it would press what matters to the ground. */
const NEAR = 0.2

interface Series {
  times: number[]
  values: Record<'user' | 'system' | 'memory' | 'cache' | 'swap' | 'read' | 'written' | 'in' | 'out', (number | null)[]>
}

/** CPU, memory, disk and network over time: while it runs as they come, afterwards as they were. */
export function Usage({ job, samples }: { job: Job; samples: Sample[] | undefined }) {
  const begun = lastAttempt(job)?.started ?? null
  const { cores } = job
  const limit = job.memory.limit ?? undefined
  const series = useMemo(() => samples && measured(samples, begun ?? 0, cores), [samples, begun, cores])
  const over = isOver(job)
  if (begun === null) return null
  if (over && samples?.length === 0) return <Brief job={job} />
  const values = series?.values
  const last = samples?.at(-1)
  const peak = Math.max(last?.memory.max_usage ?? 0, job.memory.max_usage ?? 0)
  const lines = (...all: [string, (number | null)[] | undefined, Line['color'], boolean?][]): Line[] =>
    all.map(([label, some, color, area]) => ({ label, values: some ?? [], color, area }))
  const rate = (value: number) => `${format.bytes(value)}/s`
  const near = limit !== undefined && peak > limit * NEAR
  return (
    <Section title="Resources" actions={!over && <Status state="processing">live</Status>}>
      <div className={classes.charts}>
        <div className={`pc-card ${classes.chart}`}>
          <Chart
            title={`CPU, % of its ${cores === 1 ? 'core' : `${cores} cores`}`}
            times={series?.times}
            height={150}
            atLeast={100}
            format={(value) => `${Math.round(value)} %`}
            lines={lines(['user', values?.user, 'accent', true], ['system', values?.system, 'second', true])}
            beside={last && `${format.duration(((last.cputime.user ?? 0) + (last.cputime.system ?? 0)) * 1000)} in all`}
          />
        </div>
        <div className={`pc-card ${classes.chart}`}>
          <Chart
            title="Memory"
            times={series?.times}
            height={150}
            atLeast={32 << 20}
            format={format.bytes}
            binary
            lines={lines(['used', values && ended(values.memory, job), 'accent', true], ['cache', values?.cache, 'second'], ['swap', values?.swap, 'warns']).filter((one, at) => at === 0 || one.values.some((value) => (value ?? 0) > peak / 20))}
            limit={near && limit ? { value: limit, label: 'limit' } : undefined}
            beside={`peak ${format.bytes(peak)}${limit ? ` of ${format.bytes(limit)}` : ''}`}
          />
        </div>
        <div className={`pc-card ${classes.chart}`}>
          <Chart
            title="Disk"
            times={series?.times}
            height={110}
            atLeast={1024}
            format={rate}
            binary
            lines={lines(['read', values?.read, 'accent', true], ['written', values?.written, 'third', true])}
            beside={last?.disk.usage != null && `${format.bytes(last.disk.usage)} in use`}
          />
        </div>
        <div className={`pc-card ${classes.chart}`}>
          <Chart
            title="Network"
            times={series?.times}
            height={110}
            atLeast={1024}
            format={rate}
            binary
            lines={lines(['in', values?.in, 'accent', true], ['out', values?.out, 'third', true])}
            beside={last?.network.in != null && `${format.bytes(last.network.in)} in, ${format.bytes(last.network.out ?? 0)} out`}
          />
        </div>
      </div>
    </Section>
  )
}

/** What is known of a job that was over before anybody could measure it. */
function Brief({ job }: { job: Job }) {
  const cpu = (job.cputime.user ?? 0) + (job.cputime.system ?? 0)
  return (
    <Section title="Resources">
      <p className={`pc-card ${classes.brief}`}>
        It was over before it could be measured over time. In all: {format.duration(cpu * 1000)} of CPU time{job.memory.max_usage ? `, ${format.bytes(job.memory.max_usage)} of memory at most` : ''}.
      </p>
    </Section>
  )
}

/** The memory of a sample; of one with a new peak that, so that what came and went between two samples is seen. */
function highest({ memory }: Sample, before: Sample | undefined): number | null {
  const risen = memory.max_usage !== null && memory.max_usage > (before?.memory.max_usage ?? 0)
  return risen ? memory.max_usage : memory.usage
}

/** Columns for the charts; counters become rates between two samples, the first of them since the begin. */
function measured(samples: Sample[], begun: number, cores: number): Series {
  const found: Series = { times: [], values: { user: [], system: [], memory: [], cache: [], swap: [], read: [], written: [], in: [], out: [] } }
  samples.forEach((one, at) => {
    const before = samples[at - 1]
    const span = one.at - (before?.at ?? 0)
    if (span <= 0) return
    const rate = (of: (sample: Sample) => number | null) => {
      const now = of(one)
      return now === null ? null : Math.max(0, now - ((before && of(before)) ?? 0)) / span
    }
    const share = (of: (sample: Sample) => number | null) => {
      const value = rate(of)
      return value === null ? null : (value / cores) * 100
    }
    const { values } = found
    found.times.push(begun + one.at * 1000)
    values.user.push(share((sample) => sample.cputime.user))
    values.system.push(share((sample) => sample.cputime.system))
    values.memory.push(highest(one, before))
    values.cache.push(one.memory.cache)
    values.swap.push(one.swap.usage)
    values.read.push(rate((sample) => sample.disk.read))
    values.written.push(rate((sample) => sample.disk.written))
    values.in.push(rate((sample) => sample.network.in))
    values.out.push(rate((sample) => sample.network.out))
  })
  return found
}
