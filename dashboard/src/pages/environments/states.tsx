import type { Shape } from '~/api/types'
import { Status, type Tone } from '~/parts'

export type Environment = Shape<'EnvironmentRow'>

const ACTIONS: Record<string, [string, Tone]> = {
  setup: ['starting', 'busy'],
  edit: ['being edited', 'busy'],
  save: ['saving', 'busy'],
  setup_error: ['setup failed', 'bad'],
  save_error: ['save failed', 'bad'],
}
const STATES: Record<string, [string, Tone]> = {
  new: ['never saved', 'waits'],
  ready: ['ready', 'good'],
  error: ['failed', 'bad'],
}

/** What an environment is doing, or else whether jobs can use it. */
export function State({ one }: { one: Pick<Environment, 'action' | 'status'> }) {
  const [word, tone] = ACTIONS[one.action] ?? STATES[one.status] ?? [one.status, 'off']
  return (
    <Status state={one.action} tone={tone}>
      {word}
    </Status>
  )
}

/** A token of 16 bytes in hex: a repeat of a request with it changes nothing. */
export function fresh(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return [...bytes].map((one) => one.toString(16).padStart(2, '0')).join('')
}

/** Why this can be no name of an environment; "" = it can. */
export const fault = (name: string): string => (/^[A-Za-z0-9_-]{1,30}$/.test(name) ? '' : '1 to 30 of A-Z a-z 0-9 _ -')
