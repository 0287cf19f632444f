import { useMemo } from 'react'
import { useLive } from '~/api/live'
import { Chart, ErrorBox, format } from '~/parts'
import classes from './home.module.css'

/** Jobs a minute over the last hour. */
export function Throughput() {
  const { data, error } = useLive('/v1/throughput', { minutes: 60 })
  const times = useMemo(() => data?.done.map((_, at) => data.start_ms + at * data.step_ms), [data])
  const lines = useMemo(
    () => [
      { label: 'submitted', values: data?.submitted ?? [], color: 'second' as const },
      { label: 'failed', values: data?.failed ?? [], color: 'bad' as const },
      { label: 'done', values: data?.done ?? [], color: 'good' as const, area: true },
    ],
    [data],
  )
  if (error && !data) return <ErrorBox error={error} />
  const sum = (of: number[] | undefined) => (of ?? []).reduce((a, b) => a + b, 0)
  const step = data?.step_ms ?? 60_000
  return (
    <div className={`pc-card ${classes.card}`}>
      <Chart
        title={step === 60_000 ? 'Jobs a minute' : `Jobs in ${format.duration(step)}`}
        times={times}
        lines={lines}
        format={format.short}
        atLeast={4}
        beside={data && `${format.count(sum(data.done))} done, ${format.count(sum(data.failed))} failed in the last hour`}
      />
    </div>
  )
}
