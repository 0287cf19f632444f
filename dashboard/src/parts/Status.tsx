import classes from './Status.module.css'

/** What the colour of a dot says. */
export type Tone = 'good' | 'bad' | 'busy' | 'waits' | 'warns' | 'off'

const TONES: Record<string, Tone> = {
  waiting: 'waits', queued: 'waits', processing: 'busy', done: 'good', error: 'bad', stalled: 'warns', killed: 'off',
  running: 'busy', ready: 'good', active: 'good', paused: 'warns', failed: 'bad', pending: 'waits', inactive: 'off', ended: 'off',
} // prettier-ignore

/** The words of causes, as the wire names them. */
const CAUSES: Record<string, string> = {
  exception: 'raised an exception', out_of_memory: 'out of memory', timeout: 'took too long', killed: 'killed by hand', signal: 'crashed',
  exit: 'ended its process', worker_lost: 'worker was lost', environment: 'environment failed', cannot_load: 'cannot be loaded',
  cannot_save: 'result cannot be saved', dependency: 'dependency failed', spending_limit: 'spending limit', storage: 'storage failed',
  not_sent: 'was not sent', poison: 'poisonous message', expired: 'expired',
} // prettier-ignore

/** A cause of failure in words. */
export const causeWords = (cause: string): string => CAUSES[cause] ?? cause.replaceAll('_', ' ')

interface Props {
  /** The state as the wire names it: of a job, a worker, a reservation.. */
  state: string
  /** Why, as the wire names it; shown after the state. */
  cause?: string | null
  /** The colour, where the state's name does not tell. */
  tone?: Tone
  /** Other words than the state's name. */
  children?: string
}

/** A small coloured dot and a word; never the colour alone. */
export function Status({ state, cause, tone, children }: Props) {
  const word = children ?? state
  const why = cause && cause !== 'none' && cause !== state ? causeWords(cause) : ''
  return (
    <span className={classes.status} title={why ? `${word}: ${why}` : word}>
      <span className={classes.dot} data-tone={tone ?? TONES[state] ?? 'off'} aria-hidden />
      <span className={classes.word}>
        {word}
        {why && <span className="pc-dim"> · {why}</span>}
      </span>
    </span>
  )
}
