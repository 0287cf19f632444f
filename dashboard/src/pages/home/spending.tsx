import { Anchor } from '@mantine/core'
import { Link } from 'wouter'
import { useLive } from '~/api/live'
import { linked } from '~/layout/linked'
import { type Column, Empty, format, Money, Section, Table, useNow } from '~/parts'

interface Spent {
  function?: string
  attempts?: number
  core_hours?: number
  amount?: number
}

/** The functions that cost most this month. */
export function Spending() {
  const since = `${new Date(useNow()).toISOString().slice(0, 7)}-01` // months of the meter are those of UTC
  const { data, error } = useLive('/v1/usage', { by: 'function', since, limit: 5 })
  const rows = data?.rows as Spent[] | undefined
  const columns: Column<Spent>[] = [
    { key: 'function', title: 'Function', text: (one) => one.function ?? '', cell: (one) => one.function },
    { key: 'attempts', title: 'Runs', align: 'right', cell: (one) => format.count(one.attempts ?? 0) },
    { key: 'hours', title: 'Core hours', align: 'right', from: 'sm', cell: (one) => (one.core_hours ?? 0).toFixed(3) },
    { key: 'amount', title: 'Cost', align: 'right', cell: (one) => <Money value={one.amount} /> },
  ]
  const all = linked('/usage')
  return (
    <Section
      title="Spent most this month"
      actions={
        all && (
          <Anchor component={Link} href={all} size="sm">
            Usage
          </Anchor>
        )
      }
    >
      <Table label="Functions by cost" columns={columns} rows={rows} error={error} expected={3} id={(one) => one.function ?? ''} empty={<Empty title="Nothing was spent">What jobs cost is summed up here by function.</Empty>} />
    </Section>
  )
}
