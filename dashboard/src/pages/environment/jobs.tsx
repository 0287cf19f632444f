import { useGet } from '~/api/get'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Ago, type Column, Duration, Empty, Section, Status, Table } from '~/parts'

type Job = Shape<'Row'>

/** The jobs that ran in it last, as they were when the page was opened. */
export function Latest({ name }: { name: string }) {
  const { data, error } = useGet('/v1/job', { env: name, limit: 5 })
  return (
    <Section title="Last used by">
      <Table
        label="Latest jobs"
        columns={COLUMNS}
        rows={data?.jobs}
        error={error}
        expected={2}
        id={(job) => job.jid}
        href={linked(to.job(1)) ? (job) => to.job(job.jid) : undefined}
        empty={<Empty title="No job of yours has run in it" />}
      />
    </Section>
  )
}

const COLUMNS: Column<Job>[] = [
  { key: 'jid', title: 'Job', width: 90, cell: (job) => job.jid },
  { key: 'state', title: 'State', width: 220, cell: (job) => <Status state={job.status} cause={job.cause} /> },
  { key: 'function', title: 'Function', text: (job) => job.function, cell: (job) => job.function },
  { key: 'runtime', title: 'Runtime', align: 'right', from: 'sm', cell: (job) => <Duration ms={job.runtime === null ? null : job.runtime * 1000} /> },
  { key: 'created', title: 'Created', align: 'right', cell: (job) => <Ago at={job.created} /> },
]
