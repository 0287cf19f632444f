import { Anchor } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import { causeWords, format } from '~/parts'
import { type Field, FIELDS, type Filters, SPANS } from './filters'
import classes from './jobs.module.css'

/** The filters that are on, each with a cross; state and text have places of their own. */
export function Chips({ filters }: { filters: Filters }) {
  const { values, set, clear, any } = filters
  const chip = (what: string, value: string, off: () => void) => (
    <li key={what} className={classes.chip} title={`${what}: ${value}`}>
      <span className={classes.chipText}>
        <span className="pc-dim">{what}</span> {value}
      </span>
      <button type="button" aria-label={`Take away the filter ${what}: ${value}`} onClick={off}>
        <IconX size={12} aria-hidden />
      </button>
    </li>
  )
  const time = period(values.since, values.until)
  return (
    <ul className={classes.chips} aria-label="Filters">
      {(Object.keys(FIELDS) as Field[]).map((name) => {
        const value = values[name]
        return value && chip(FIELDS[name], name === 'cause' ? causeWords(value) : value, () => set({ [name]: undefined }))
      })}
      {values.attachment && chip('Handler', values.attachment, () => set({ attachment: undefined }))}
      {values.submission && chip('Map', `no. ${values.submission}`, () => set({ submission: undefined }))}
      {time && chip('Time', time, () => set({ since: undefined, until: undefined }))}
      {any && (
        <li>
          <Anchor component="button" type="button" size="sm" onClick={clear}>
            Clear filters
          </Anchor>
        </li>
      )}
    </ul>
  )
}

function period(since: string | undefined, until: string | undefined): string {
  const span = since === undefined ? undefined : SPANS[since]
  if (span) return span.title.toLowerCase()
  const said = (text: string) => (Number.isFinite(Number(text)) ? format.time(Number(text)) : text)
  return [since && `from ${said(since)}`, until && `to ${said(until)}`].filter(Boolean).join(' ')
}
