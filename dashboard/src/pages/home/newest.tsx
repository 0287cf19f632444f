import { Anchor } from '@mantine/core'
import { Link } from 'wouter'
import type { ApiError } from '~/api/error'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Ago, type Column, Duration, Section, Status, Table } from '~/parts'

type Job = Shape<'Row'>

const COLUMNS: Column<Job>[] = [
  { key: 'jid', title: 'Job', width: 90, cell: (job) => job.jid },
  { key: 'state', title: 'State', width: 220, cell: (job) => <Status state={job.status} cause={job.cause} /> },
  { key: 'function', title: 'Function', text: (job) => job.function, cell: (job) => job.function },
  { key: 'label', title: 'Label', from: 'md', text: (job) => job.label, cell: (job) => job.label },
  { key: 'type', title: 'Cores', from: 'md', cell: (job) => `${job.cores} × ${job.core_type}` },
  { key: 'runtime', title: 'Runtime', align: 'right', cell: (job) => <Duration ms={job.runtime === null ? null : job.runtime * 1000} from={job.status === 'processing' ? job.started : null} /> },
  { key: 'created', title: 'Created', align: 'right', from: 'sm', cell: (job) => <Ago at={job.created} /> },
]

/** The jobs that came last. */
export function Newest({ jobs, error }: { jobs: Job[] | undefined; error: ApiError | undefined }) {
  const all = linked(to.jobs())
  return (
    <Section
      title="Newest jobs"
      actions={
        all && (
          <Anchor component={Link} href={all} size="sm">
            All jobs
          </Anchor>
        )
      }
    >
      <Table label="Newest jobs" columns={COLUMNS} rows={jobs} error={error} expected={10} id={(job) => job.jid} href={linked(to.job(1)) ? (job) => to.job(job.jid) : undefined} />
    </Section>
  )
}
