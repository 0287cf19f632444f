// What GET /v1/job/{jid} says, with names for what the document of the API leaves open.

import type { Shape } from '~/api/types'

/** A death certificate: cause, evidence, advice. What is not known is left out. */
export interface Failure {
  cause: string
  message: string
  advice?: string
  traceback?: string
  type?: string
  exit_code?: number | null
  signal?: string
  stacks?: string
  log_tail?: string
  /** Bytes. */
  peak_memory?: number | null
  memory_limit?: number | null
  /** Requests for memory that were refused. */
  refused?: number | null
  kernel_kills?: number | null
  last_minute?: Last[]
  facts?: Record<string, unknown>
}

/** A sample of the last minute. */
export interface Last {
  at_ms: number
  cpu_user_us: number
  cpu_system_us: number
  memory: number
  peak: number
}

export interface Attempt {
  n: number
  worker: string
  started: number | null
  ended: number | null
  cause: string | null
  message: string | null
}

export interface Code {
  name?: string
  module?: string
  file?: string
  line?: number
  source?: string
}

export interface Port {
  address: string
  port: number
  username?: string
}

/** What it was submitted with, as far as the page names it. */
export interface Attributes {
  profile?: boolean
  max_runtime_ms?: number
  retries?: number
  env_names?: string[]
  secrets?: string[]
  restartable?: boolean
}

type Open = 'failure' | 'attempts' | 'function' | 'attributes' | 'ports' | 'cost'

export type Job = Omit<Shape<'RecordWhole'>, Open> & {
  failure: Failure | null
  attempts: Attempt[]
  function: Code
  attributes: Attributes
  ports: { tcp?: Record<string, Port> } | null
  cost: { amount?: number; estimate?: boolean }
}

const FINAL = new Set(['done', 'error', 'stalled', 'killed'])

/** Nothing changes any more. */
export const isOver = (job: { status: string }): boolean => FINAL.has(job.status)

/** Memory over time as a chart shows it: the last sample of a job whose memory ran out was taken when its process was gone. */
export function ended(memory: (number | null)[], job: Job): (number | null)[] {
  const peak = job.failure?.peak_memory ?? job.memory.max_usage
  return job.failure?.cause === 'out_of_memory' && typeof peak === 'number' && memory.length > 1 ? [...memory.slice(0, -1), peak] : memory
}

/** How a job is called where its number is not enough. */
export const nameOf = (job: Job): string => job.function.name || `Job ${job.jid}`

/** The attempt that tells of what goes on, or went on last. */
export const lastAttempt = (job: Job): Attempt | undefined => job.attempts.at(-1)
