import { SegmentedControl } from '@mantine/core'
import { useMemo } from 'react'
import type { Shape } from '~/api/types'
import { Chart, format, type Line } from '~/parts'
import classes from './queue.module.css'

const SPANS = [
  { value: '10', label: '10 min' },
  { value: '60', label: '1 h' },
  { value: '360', label: '6 h' },
]

interface Props {
  queue: Shape<'InsideWhole'> | undefined
  minutes: number
  show: (minutes: number) => void
}

/** What came and what went, in windows of 10 s. */
export function Throughput({ queue, minutes, show }: Props) {
  const series = queue?.series
  const times = useMemo(() => series?.came.map((_, at) => series.start_ms + at * series.step_ms), [series])
  const lines = useMemo<Line[]>(
    () => [
      { label: 'pushed', values: series?.came ?? [], color: 'second' },
      { label: 'handled', values: series?.went ?? [], color: 'good', area: true },
      { label: 'failed', values: series?.failed ?? [], color: 'bad' },
      { label: 'retried', values: series?.retried ?? [], color: 'warns', dashed: true },
    ],
    [series],
  )
  return (
    <div className={`pc-card ${classes.chart}`}>
      <Chart
        title="Messages in 10 s"
        times={times}
        lines={lines}
        format={format.short}
        atLeast={5}
        beside={<SegmentedControl size="xs" data={SPANS} value={String(minutes)} onChange={(value) => show(Number(value))} aria-label="Time shown" />}
      />
    </div>
  )
}
