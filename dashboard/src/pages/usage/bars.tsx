import { Skeleton } from '@mantine/core'
import { useMemo, useState } from 'react'
import classes from './bars.module.css'

export interface Part {
  name: string
  values: number[]
}

interface Props {
  title: string
  /** 2026-01-31, the oldest first; undefined = not there yet. */
  days: string[] | undefined
  /** What each bar is made of, the largest first. */
  parts: Part[]
  format: (value: number) => string
}

const COLORS = ['accent', 'second', 'third', 'good', 'warns', 'busy', 'bad', 'off']
/** Days that have a bar of their own; of more, each is a week. */
const MOST = 100
const SHORT = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' })
const LONG = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeZone: 'UTC' })

const color = (at: number) => `var(--pc-${COLORS[Math.min(at, COLORS.length - 1)] ?? 'off'})`

/** A bar for each day, stacked of parts, with a legend, an axis, and the parts of a day when one points at it. */
export function Bars({ title, days, parts, format }: Props) {
  const [at, setAt] = useState<number>()
  const shown = useMemo(() => gathered(days ?? [], parts), [days, parts])
  const top = useMemo(() => ceiling(Math.max(0, ...shown.sums)), [shown])
  const all = shown.sums.reduce((a, b) => a + b, 0)
  const total = (part: Part) => part.values.reduce((a, b) => a + b, 0)
  const said = `${title}, ${shown.days.length} bars: ${format(all)} in all. ${parts.map((one) => `${one.name}: ${format(total(one))}`).join('; ')}`
  return (
    <figure className={classes.chart}>
      <figcaption className={classes.head}>
        <strong>{title}</strong>
        {all > 0 &&
          parts.map((one, index) => (
            <span key={one.name} className={classes.key} title={one.name}>
              <span className={classes.swatch} style={{ background: color(index) }} aria-hidden />
              <span className="pc-cut">{one.name}</span> <b>{format(total(one))}</b>
            </span>
          ))}
      </figcaption>
      {!days ? (
        <Skeleton height={220} />
      ) : (
        // Pointing only shows what the table below has as well.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
        <div className={classes.plot} role="img" aria-label={said} onMouseLeave={() => setAt(undefined)}>
          {[1, 0.5, 0].map((share) => (
            <span key={share} className={classes.line} style={{ bottom: `${share * 100}%` }}>
              <span>{format(top * share)}</span>
            </span>
          ))}
          <div className={classes.bars}>
            {shown.days.map((day, index) => (
              // eslint-disable-next-line jsx-a11y/no-static-element-interactions
              <div key={day} className={classes.slot} data-at={index === at || undefined} onMouseEnter={() => setAt(index)}>
                {shown.parts.map((values, part) => (
                  <div key={parts[part]?.name} style={{ height: `${((values[index] ?? 0) / top) * 100}%`, background: color(part) }} />
                ))}
              </div>
            ))}
            {at !== undefined && shown.days[at] && <Tip day={shown.days[at]} width={shown.width} left={(at + 0.5) / shown.days.length} parts={parts.map((one, part) => ({ name: one.name, value: shown.parts[part]?.[at] ?? 0, color: color(part) }))} format={format} />}
          </div>
        </div>
      )}
      {days && (
        <div className={classes.axis} aria-hidden>
          {[0, Math.floor(shown.days.length / 2), shown.days.length - 1].filter((one, index, all) => all.indexOf(one) === index).map((index) => (
            <span key={index}>{SHORT.format(new Date(shown.days[index] ?? 0))}</span>
          ))}
        </div>
      )}
    </figure>
  )
}

interface TipProps {
  day: string
  /** Days of the bar. */
  width: number
  /** Where the bar is, from 0 to 1. */
  left: number
  parts: { name: string; value: number; color: string }[]
  format: (value: number) => string
}

function Tip({ day, width, left, parts, format }: TipProps) {
  const some = parts.filter((one) => one.value > 0)
  return (
    <div className={classes.tip} style={left > 0.5 ? { right: `${(1 - left) * 100}%` } : { left: `${left * 100}%` }}>
      <div className="pc-dim">{width === 1 ? LONG.format(new Date(day)) : `${width} days from ${SHORT.format(new Date(day))}`}</div>
      {some.map((one) => (
        <div key={one.name} className={classes.row}>
          <span className={classes.swatch} style={{ background: one.color }} />
          <span className="pc-cut">{one.name}</span>
          <b>{format(one.value)}</b>
        </div>
      ))}
      {some.length !== 1 && (
        <div className={classes.row}>
          <span className="pc-cut">{some.length ? 'In all' : 'Nothing'}</span>
          <b>{format(some.reduce((sum, one) => sum + one.value, 0))}</b>
        </div>
      )}
    </div>
  )
}

/** Bars of a day each, or of a week where there are very many. */
function gathered(days: string[], parts: Part[]) {
  const width = days.length > MOST ? 7 : 1
  const first = days.length % width // the last bar is always whole
  const starts = days.map((_, index) => index).filter((index) => (index - first + width) % width === 0 || index === 0)
  const sum = (values: number[], from: number, to: number | undefined) => values.slice(from, to).reduce((a, b) => a + b, 0)
  const made = parts.map((one) => starts.map((from, index) => sum(one.values, from, starts[index + 1])))
  const sums = starts.map((_, index) => made.reduce((all, values) => all + (values[index] ?? 0), 0))
  return { width, days: starts.map((from) => days[from] ?? ''), parts: made, sums }
}

/** The next round number above. */
function ceiling(value: number): number {
  if (value <= 0) return 1
  const size = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 5, 10].map((one) => one * size).find((one) => one >= value) ?? value
}
