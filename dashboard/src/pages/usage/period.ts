import { useState } from 'react'
import { useQuery } from '~/parts'

/** What usage can be told apart by; "day" = not at all. */
export const BY = [
  { value: 'label', label: 'Label' },
  { value: 'function', label: 'Function' },
  { value: 'type', label: 'Core type' },
  { value: 'queue', label: 'Queue' },
  { value: 'day', label: 'Day' },
] as const
export type By = (typeof BY)[number]['value']

export const PERIODS = [
  { value: 'month', label: 'This month' },
  { value: '7', label: 'Last 7 days' },
  { value: '30', label: 'Last 30 days' },
  { value: '90', label: 'Last 90 days' },
  { value: '365', label: 'Last 365 days' },
]

const DAY = 86_400_000

export interface Period {
  value: string
  days: number
  /** The first day, in UTC, as those of the meter. */
  since: string
}

/** What the address says: the period, and what usage is told apart by. */
export function usePeriod(): { period: Period; by: By; set: (change: { period?: string; by?: string }) => void } {
  const [query, setQuery] = useQuery('period', 'by')
  const [now] = useState(() => Date.now())
  const value = PERIODS.some((one) => one.value === query.period) ? (query.period ?? 'month') : 'month'
  const by = BY.find((one) => one.value === query.by)?.value ?? 'label'
  const days = value === 'month' ? new Date(now).getUTCDate() : Number(value)
  const since = new Date(now - (days - 1) * DAY).toISOString().slice(0, 10)
  return { period: { value, days, since }, by, set: setQuery }
}
