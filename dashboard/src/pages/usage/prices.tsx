import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { type Column, format, Section, Table } from '~/parts'

interface Kind extends Shape<'CoreType'> {
  name: string
  usual: boolean
}

/** What a core costs an hour; the price on the wire is micro-dollars. */
const price = (kind: Kind) => `$${(kind.price / 1_000_000).toFixed(kind.price % 10_000 ? 4 : 2)}`

const COLUMNS: Column<Kind>[] = [
  { key: 'name', title: 'Core type', text: (one) => one.name, cell: (one) => <>{one.name} {one.usual && <span className="pc-dim">usual</span>}</> },
  { key: 'units', title: 'Compute units', align: 'right', cell: (one) => one.units / 1000 },
  { key: 'memory', title: 'Memory a core', align: 'right', cell: (one) => format.bytes(one.memory) },
  { key: 'multiples', title: 'Cores of a job', from: 'sm', text: (one) => one.multiples.join(', '), cell: (one) => one.multiples.join(', ') },
  { key: 'price', title: 'A core hour', align: 'right', cell: price },
]

/** The core types with their prices. */
export function Prices({ title = 'Prices' }: { title?: string }) {
  const { data, error } = useLive('/v1/server')
  const rows = data && Object.entries(data.core_types).map(([name, kind]) => ({ ...kind, name, usual: name === data.default_type }))
  return (
    <Section title={title}>
      <Table label="Core types" columns={COLUMNS} rows={rows} error={error} expected={3} id={(one) => one.name} />
    </Section>
  )
}
