import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { type Column, Empty, Status, Table, Time } from '~/parts'

const JOBS = (present: number | undefined): Column<Shape<'Handling'>>[] => [
  { key: 'jid', title: 'Job', cell: (one) => one.jid },
  { key: 'status', title: 'State', cell: (one) => <Status state={one.status} /> },
  {
    key: 'version',
    title: 'Version',
    align: 'right',
    cell: (one) => (one.version === present ? one.version : <span title="A former handler finishes what it holds">{one.version}, finishing</span>),
  },
]

/** The jobs of its handlers that have not ended. */
export const Jobs = ({ jobs, present }: { jobs: Shape<'Handling'>[]; present: number | undefined }) => (
  <Table label="Jobs of the handler" columns={JOBS(present)} rows={jobs} id={(one) => one.jid} href={linked(to.job(1)) ? (one) => to.job(one.jid) : undefined} height="16rem" empty={<Empty title="No jobs now">They come with messages.</Empty>} />
)

const VERSIONS: Column<Shape<'HandlerVersion'>>[] = [
  { key: 'version', title: 'Version', cell: (one) => one.version },
  { key: 'name', title: 'Function', text: (one) => one.name, cell: (one) => one.name },
  { key: 'since', title: 'From', cell: (one) => <Time at={one.created} /> },
  { key: 'until', title: 'Until', cell: (one) => (one.ended === null ? <Status state="active">in force</Status> : <Time at={one.ended} />) },
]

/** The handlers that it has had. */
export const Versions = ({ versions }: { versions: Shape<'HandlerVersion'>[] }) => <Table label="Versions of the handler" columns={VERSIONS} rows={versions} id={(one) => one.version} height="16rem" />
