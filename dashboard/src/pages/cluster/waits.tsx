import type { ApiError } from '~/api/error'
import type { Shape } from '~/api/types'
import { type Column, Empty, format, Section, Status, Table, type Tone } from '~/parts'

type Waiting = Shape<'Waiting'>

const TONES: Record<string, Tone> = { held: 'warns', stopped: 'bad', trouble: 'bad', starting: 'busy', capacity: 'waits' }

const COLUMNS: Column<Waiting>[] = [
  { key: 'count', title: 'Jobs', align: 'right', width: 90, cell: (one) => `${format.count(one.count)}${one.more ? '+' : ''}` },
  { key: 'type', title: 'Cores', cell: (one) => `${one.cores} × ${one.core_type}` },
  { key: 'account', title: 'Account', text: (one) => one.account, cell: (one) => one.account },
  { key: 'env', title: 'Environment', from: 'md', text: (one) => one.env ?? '', cell: (one) => one.env ?? <span className="pc-dim">none</span> },
  { key: 'reason', title: 'Why', cell: (one) => <Status state={one.reason} tone={TONES[one.reason]} /> },
  { key: 'why', title: '', text: (one) => one.why, cell: (one) => <span className="pc-dim">{one.why}</span> },
]

/** Ready jobs that no worker has, by kind, and why. */
export function Waits({ waits, owner, error }: { waits: Waiting[] | undefined; owner: boolean; error: ApiError | undefined }) {
  const columns = owner ? COLUMNS : COLUMNS.filter((one) => one.key !== 'account')
  return (
    <Section title="What waits, and why">
      <Table label="What waits" columns={columns} rows={waits} error={error} expected={2} id={(one) => `${one.account}/${one.core_type}/${one.cores}/${one.env}/${one.priority}/${one.reason}`} empty={<Empty title="Nothing waits">Every job that could run has a slot.</Empty>} />
    </Section>
  )
}
