import { Anchor } from '@mantine/core'
import { useMemo } from 'react'
import { Link } from 'wouter'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Ago, causeWords, type Column, Empty, format, Section, Status, Table, useNow } from '~/parts'

const DAY = 86_400_000
const HOUR = 3_600_000
const MOST = 100

interface Cause {
  cause: string
  jobs: number
  latest: Shape<'Row'>
}

/** Causes of the failures of the last day, the most frequent first. */
export function Failures() {
  // By the hour, so that the address, and with it what is watched, changes rarely.
  const since = Math.floor((useNow() - DAY) / HOUR) * HOUR
  const { data, error } = useLive('/v1/job', { state: 'error', since, limit: MOST })
  const causes = useMemo(() => data && summed(data.jobs), [data])
  const columns: Column<Cause>[] = [
    { key: 'cause', title: 'Cause', cell: (one) => <Status state="error">{causeWords(one.cause)}</Status> },
    { key: 'jobs', title: 'Jobs', align: 'right', cell: (one) => format.count(one.jobs) },
    { key: 'latest', title: 'Latest in', text: (one) => one.latest.function, cell: (one) => one.latest.function },
    { key: 'when', title: 'When', align: 'right', from: 'sm', cell: (one) => <Ago at={one.latest.finished} /> },
  ]
  const all = linked(to.jobs({ state: 'error' }))
  return (
    <Section
      title={data?.next ? `Failures of the last day (the latest ${MOST})` : 'Failures of the last day'}
      actions={
        all && (
          <Anchor component={Link} href={all} size="sm">
            All failures
          </Anchor>
        )
      }
    >
      <Table label="Failures by cause" columns={columns} rows={causes} error={error} expected={3} id={(one) => one.cause} href={linked(to.job(1)) ? (one) => to.job(one.latest.jid) : undefined} empty={<Empty title="Nothing has failed">The causes of failures are summed up here.</Empty>} />
    </Section>
  )
}

function summed(jobs: Shape<'Row'>[]): Cause[] {
  const found = new Map<string, Cause>()
  for (const job of jobs) {
    const cause = job.cause ?? 'unknown'
    const one = found.get(cause)
    if (one) one.jobs++
    else found.set(cause, { cause, jobs: 1, latest: job }) // the newest comes first
  }
  return [...found.values()].sort((a, b) => b.jobs - a.jobs)
}
