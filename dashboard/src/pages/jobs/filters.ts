import { useMemo, useState } from 'react'
import { useQuery } from '~/parts'

/** What jobs are filtered by, besides text and time; the names are those of the query of GET /v1/job. */
export const FIELDS = {
  label: 'Label',
  func: 'Function',
  env: 'Environment',
  type: 'Core type',
  queue: 'Queue',
  cause: 'Cause',
} as const
export type Field = keyof typeof FIELDS

/** Lengths of time before now that `since` may name, in ms. */
export const SPANS: Record<string, { title: string; ms: number }> = {
  '1h': { title: 'Last hour', ms: 3_600_000 },
  '24h': { title: 'Last 24 hours', ms: 86_400_000 },
  '7d': { title: 'Last 7 days', ms: 7 * 86_400_000 },
  '30d': { title: 'Last 30 days', ms: 30 * 86_400_000 },
}

const NAMES = ['state', 'label', 'func', 'env', 'type', 'queue', 'attachment', 'cause', 'text', 'since', 'until', 'submission'] as const
export type Name = (typeof NAMES)[number]
export type Values = { [N in Name | 'fold']?: string }

export interface Filters {
  values: Values
  /** Changes some; `undefined` or "" takes one away. */
  set: (change: Values) => void
  /** Takes all away. */
  clear: () => void
  /** Whether anything but the folding is chosen. */
  any: boolean
  /** For GET /v1/job and its kin; without the state for counts by state. */
  params: Params
  counted: Params
  /** Maps are one row each. */
  folded: boolean
}

export interface Params {
  state?: string
  label?: string
  func?: string
  env?: string
  type?: string
  queue?: string
  cause?: string
  text?: string
  attachment?: number
  submission?: number
  since?: number
  until?: number
}

const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))

/** The filters of the page, which are its address. */
export function useFilters(): Filters {
  const [values, change] = useQuery(...NAMES, 'fold')
  const [opened] = useState(Date.now) // a clock would change what is watched; reloading moves it on
  return useMemo(() => {
    const { state, since, until, attachment, submission, fold, ...texts } = values
    const span = since === undefined ? undefined : SPANS[since]
    const counted: Params = {
      ...texts,
      attachment: number(attachment),
      submission: number(submission),
      since: span ? opened - span.ms : number(since),
      until: number(until),
    }
    return {
      values,
      set: (next) => change(next, { push: true }),
      clear: () => change(Object.fromEntries(NAMES.map((name) => [name, undefined])), { push: true }),
      any: NAMES.some((name) => values[name] !== undefined),
      params: { ...counted, state },
      counted,
      // Who asks for a state, or for the jobs behind something, wants the jobs themselves.
      folded: fold === undefined ? !(state ?? values.cause ?? submission ?? values.queue ?? attachment) : fold === '1',
    }
  }, [values, change, opened])
}
