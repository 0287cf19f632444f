import type { Shape } from '~/api/types'

/** A row: a job, or a map with all its jobs. */
export interface Line {
  id: string
  /** Its jobs, (first, count) each. */
  jids: [number, number][]
  first: number
  last: number
  function: string
  label: string
  created: number
  coreType: string
  cores: number
  /** Nothing of it runs any more or will. */
  over: boolean
  /** Of a job. */
  status?: string
  cause?: string | null
  started?: number | null
  /** Of a map. */
  map?: Shape<'Folded'>
  /** What the job, or all jobs of the map, used; undefined = not known. */
  runtime?: number | null
  cpu?: number | null
  memory?: number | null
  fails?: number | null
  cost?: number | null
}

const OVER = new Set(['done', 'error', 'stalled', 'killed'])

export function ofJob(job: Shape<'Row'>): Line {
  return {
    id: `j${job.jid}`,
    jids: [[job.jid, 1]],
    first: job.jid,
    last: job.jid,
    function: job.function,
    label: job.label,
    created: job.created,
    coreType: job.core_type,
    cores: job.cores,
    over: OVER.has(job.status),
    status: job.status,
    cause: job.cause,
    started: job.started,
    runtime: job.runtime,
    cpu: job.cpu,
    memory: job.peak_memory,
    fails: job.failcnt,
    cost: job.amount,
  }
}

export function ofFolded(row: Shape<'Folded'>): Line {
  if (row.job) return ofJob(row.job)
  return {
    id: `m${row.submission}`,
    jids: row.ranges,
    first: row.jid_first,
    last: row.jid_last,
    function: row.function,
    label: row.label,
    created: row.created,
    coreType: row.core_type,
    cores: row.cores,
    over: row.over,
    map: row,
    runtime: row.used?.runtime,
    cpu: row.used?.cpu,
    memory: row.used?.peak_memory,
    cost: row.used?.amount,
  }
}

/** Jobs of these lines that have not ended. */
export const unfinished = (lines: Line[]): number => lines.reduce((sum, one) => sum + (one.map ? one.map.count - one.map.done - one.map.failed : one.over ? 0 : 1), 0)

/** Jobs of these lines that failed. */
export const failed = (lines: Line[]): number =>
  lines.reduce((sum, one) => sum + (one.map ? one.map.failed : one.over && one.status !== 'done' ? 1 : 0), 0)

/** All jobs of these lines. */
export const size = (lines: Line[]): number => lines.reduce((sum, one) => sum + (one.map?.count ?? 1), 0)

export const jids = (lines: Line[]): [number, number][] => lines.flatMap((one) => one.jids)
