import 'uplot/dist/uPlot.min.css'
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useMemo, useRef } from 'react'
import UPlot from 'uplot'
import type { ChartProps } from '../Chart'
import classes from './Plot.module.css'
import { tooltip } from './tooltip'

type Props = ChartProps & { times: number[]; height: number; format: (value: number) => string }

/** The drawing itself. The plot is made anew when its shape or the colours change, and only given data otherwise. */
export default function Plot({ times, lines, limit, format, height, atLeast = 1, binary = false }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const scheme = useComputedColorScheme()
  const data = useMemo(() => table(times, lines, limit), [times, lines, limit])
  const latest = useRef({ data, lines, limit, format })
  useEffect(() => {
    latest.current = { data, lines, limit, format }
  })
  const shape = [scheme, height, atLeast, limit?.value, limit?.label, ...lines.map((one) => `${one.label}/${one.color}/${one.area}/${one.dashed}`)].join('|')
  useEffect(() => {
    const place = box.current
    if (!place) return
    const now = latest.current
    const made = new UPlot(options(now.lines, now.limit, (value) => latest.current.format(value), place.clientWidth, height, atLeast, binary), now.data, place)
    plot.current = made
    const watch = new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== made.width) made.setSize({ width: place.clientWidth, height })
    })
    watch.observe(place)
    return () => {
      watch.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [shape, height, atLeast, binary])
  useEffect(() => {
    plot.current?.setData(data)
  }, [data])
  return <div ref={box} className={classes.plot} />
}

/** Columns as uPlot has them; seconds. */
function table(times: number[], lines: Props['lines'], limit: Props['limit']): UPlot.AlignedData {
  const columns = lines.map((one) => one.values)
  return [times.map((one) => one / 1000), ...columns, ...(limit ? [times.map(() => limit.value)] : [])]
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--pc-${name}`).trim()

function options(lines: Props['lines'], limit: Props['limit'], format: (value: number) => string, width: number, height: number, atLeast: number, binary: boolean): UPlot.Options {
  const axis: UPlot.Axis = {
    stroke: color('text-dim'),
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
    border: { show: false },
    font: '11px system-ui, sans-serif',
  }
  const series = lines.map(
    (one): UPlot.Series => ({
      label: one.label,
      stroke: color(one.color),
      width: 1.5,
      fill: one.area ? `color-mix(in srgb, ${color(one.color)} 14%, transparent)` : undefined,
      dash: one.dashed ? [4, 4] : undefined,
      points: { show: lines.every(({ values }) => values.length < 2), size: 5 },
    }),
  )
  if (limit) series.push({ label: limit.label, stroke: color('bad'), width: 1, dash: [6, 4], points: { show: false } })
  return {
    width: Math.max(1, width),
    height,
    padding: [8, 34, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(atLeast, high ?? 0) * 1.08] } },
    axes: [
      { ...axis, grid: { show: false }, size: 22, gap: 4, space: 88, values: (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step)) },
      { ...axis, size: (_, values) => Math.max(32, 7 * Math.max(0, ...(values ?? []).map((one) => one.length)) + 12), space: 34, values: (_, ticks) => ticks.map(format), ...(binary && { incrs: POWERS }) },
    ],
    series: [{}, ...series],
    plugins: [tooltip(format)],
  }
}

const POWERS = Array.from({ length: 60 }, (_, at) => 2 ** at)

const SECONDS = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const MINUTES = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const DAYS = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })

const clock = (tick: number, step: number) => (step < 60 ? SECONDS : step < 86_400 ? MINUTES : DAYS).format(tick * 1000)
