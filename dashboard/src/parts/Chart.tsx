import { Skeleton } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Chart.module.css'
import { later } from './later'

export interface Line {
  label: string
  /** One for each time; null = a gap. */
  values: (number | null)[]
  /** A colour of the theme. */
  color: 'accent' | 'second' | 'third' | 'good' | 'bad' | 'busy' | 'warns' | 'off'
  /** Filled below. */
  area?: boolean
  /** Broken, as for what is expected. */
  dashed?: boolean
}

export interface ChartProps {
  /** What the chart shows, above it and for who cannot see it. */
  title: string
  /** Epoch ms, rising; shown in the user's zone. Longer arrays in a later rendering are drawn on without a new chart. */
  times: number[] | undefined
  lines: Line[]
  /** A horizontal line, such as the memory that a job may have. */
  limit?: { value: number; label: string }
  /** How values are written: `format.bytes`, `format.short`.. */
  format?: (value: number) => string
  /** Values are bytes: the axis goes by powers of two. */
  binary?: boolean
  /** px of the drawing. */
  height?: number
  /** The least that the axis reaches up to, so that a flat line near 0 looks like one. */
  atLeast?: number
  /** What stands there when there is no time at all. */
  empty?: ReactNode
  /** Right of the title. */
  beside?: ReactNode
}

const Plot = later(() => import('./chart/Plot'))

/** A chart over time: lines or areas, a tooltip, a legend with the latest values, and a summary in words. */
export function Chart(props: ChartProps) {
  const { title, times, lines, height = 180, format = String, empty, beside, limit } = props
  const none = times?.length === 0
  return (
    <figure className={classes.chart}>
      <figcaption className={classes.head}>
        <strong className={classes.title}>{title}</strong>
        {!none &&
          lines.map((one) => (
            <span key={one.label} className={classes.key}>
              <span className={classes.swatch} style={{ background: `var(--pc-${one.color})` }} aria-hidden />
              {one.label} <b>{said(last(one.values), format)}</b>
            </span>
          ))}
        {beside && <span className={classes.beside}>{beside}</span>}
      </figcaption>
      {none && empty ? (
        <div className={classes.none} style={{ minHeight: height }}>
          {empty}
        </div>
      ) : (
        <div style={{ height }} role="img" aria-label={summary(title, lines, format, limit)}>
          {times ? <Plot {...props} times={times} height={height} format={format} waiting={<Skeleton height={height} />} /> : <Skeleton height={height} />}
        </div>
      )}
    </figure>
  )
}

const last = (values: (number | null)[]) => values.findLast((one) => one !== null)
const said = (value: number | null | undefined, format: (value: number) => string) => (typeof value === 'number' ? format(value) : '–')

function summary(title: string, lines: Line[], format: (value: number) => string, limit: ChartProps['limit']): string {
  const each = lines.map(({ label, values }) => {
    const known = values.filter((one) => one !== null)
    if (!known.length) return `${label}: nothing yet`
    const most = known.reduce((a, b) => Math.max(a, b))
    return `${label}: now ${said(last(values), format)}, at most ${format(most)}`
  })
  return `${title}. ${each.join('; ')}${limit ? `; ${limit.label} ${format(limit.value)}` : ''}`
}
