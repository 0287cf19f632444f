import { Anchor, Button, NativeSelect, SegmentedControl } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useMemo } from 'react'
import { Link } from 'wouter'
import { useAction } from '~/api/action'
import { get } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { type Column, Empty, ErrorBox, format, Meter, Money, Section, Snippet, Table, useQuery } from '~/parts'
import { Bars } from './bars'
import { saveCsv } from './csv'
import { BY, type By, type Period, PERIODS, usePeriod } from './period'
import classes from './usage.module.css'

interface Row extends Shape<'Counts'> {
  name: string
}

const MEASURES = [
  { value: 'cost', label: 'Cost' },
  { value: 'hours', label: 'Core hours' },
  { value: 'runs', label: 'Runs' },
]
const LINES = 7

/** Two digits that say something, however little it is: bars of a first hour differ by them. */
function dollars(value: number): string {
  if (value === 0 || value >= 0.1) return format.money(value * format.DOLLAR)
  return `$${value.toFixed(Math.min(9, 1 - Math.floor(Math.log10(value))))}`
}
const hours = (value: number) => (value >= 100 ? format.count(Math.round(value)) : value.toFixed(value >= 1 ? 1 : 3))

/** What was spent in a period: bars by day, and the sums below. */
export function Spent() {
  const { period, by, set } = usePeriod()
  const [{ measure = 'cost' }, setQuery] = useQuery('measure')
  const days = useLive('/v1/usage/day', { days: period.days, by: by === 'day' ? 'type' : by, most: LINES })
  const name = BY.find((one) => one.value === (by === 'day' ? 'type' : by))?.label.toLowerCase() ?? ''
  const parts = useMemo(() => {
    const of = (line: Shape<'LineShown'>) => (measure === 'hours' ? line.core_hours : measure === 'runs' ? line.attempts : line.dollars)
    return (days.data?.lines ?? []).map((line) => ({ name: line.rest ? 'others' : line.name || `no ${name}`, values: of(line) }))
  }, [days.data, measure, name])
  const form = measure === 'hours' ? hours : measure === 'runs' ? format.short : dollars
  return (
    <Section
      title="Spending"
      actions={
        <div className={classes.chooser}>
          <NativeSelect size="xs" aria-label="Period" data={PERIODS} value={period.value} onChange={(event) => set({ period: event.currentTarget.value })} />
          <NativeSelect size="xs" aria-label="Told apart by" data={BY.map((one) => ({ value: one.value, label: `By ${one.label.toLowerCase()}` }))} value={by} onChange={(event) => set({ by: event.currentTarget.value })} />
          <SegmentedControl size="xs" aria-label="Measure" data={MEASURES} value={measure} onChange={(value) => setQuery({ measure: value === 'cost' ? undefined : value })} />
        </div>
      }
    >
      {days.error && !days.data ? (
        <ErrorBox error={days.error} />
      ) : (
        <div className={`pc-card ${classes.card}`}>
          <Bars title={`${MEASURES.find((one) => one.value === measure)?.label ?? ''} a day, by ${name}`} days={days.data?.days} parts={parts} format={form} />
        </div>
      )}
      <div style={{ height: '1rem' }} />
      <Sums period={period} by={by} />
    </Section>
  )
}

function Sums({ period, by }: { period: Period; by: By }) {
  const sums = useSums(period, by)
  const save = useAction(async () => {
    const rows = by === 'queue' ? (sums.rows ?? []) : named(by, (await get('/v1/usage', { by, since: period.since, limit: 100_000 })).rows)
    saveCsv(`usage-by-${by}-${period.since}.csv`, [by, 'runs', 'core_hours', 'dollars'], rows.map((one) => [one.name, one.attempts, one.core_hours, one.dollars]))
    return true
  })
  const { total, rows } = sums
  const columns = useMemo(() => shownBy(by, total?.amount ?? 0), [by, total])
  const below = total && {
    name: 'Total',
    runs: format.count(total.attempts),
    hours: hours(total.core_hours),
    amount: <Money value={total.amount} />,
  }
  const empty = (
    <Empty title="Nothing was used in that time" more={<Snippet code={'import cloud\n\njid = cloud.call(sum, range(1_000_000), _label="first")\nprint(cloud.result(jid))'} />}>
      Each attempt of a job is billed by the millisecond, and summed up here.
    </Empty>
  )
  return (
    <>
      <Table label={`Usage by ${by}`} columns={columns} rows={rows} error={sums.error} id={(one) => one.name} sums={below} empty={empty} height="32rem" />
      {Boolean(rows?.length) && (
        <Button mt="xs" variant="default" leftSection={<IconDownload size={14} />} loading={save.busy} onClick={() => void save.run()}>
          Save as CSV
        </Button>
      )}
    </>
  )
}

const named = (by: By, rows: unknown[]): Row[] => (rows as (Shape<'Counts'> & Record<string, unknown>)[]).map((one) => ({ ...one, name: String(one[by] ?? '') }))

/** Sums of a period; those by queue are only in the days. */
function useSums({ since, days }: Period, by: By) {
  const whole = useLive('/v1/usage', { by: by === 'queue' ? 'type' : by, since, limit: 1000 })
  const queues = useLive(by === 'queue' ? '/v1/usage/day' : null, { days, by: 'queue', most: 50 })
  const rows = useMemo(() => {
    if (by !== 'queue') return whole.data && named(by, whole.data.rows)
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
    return queues.data?.lines.map((one): Row => ({ name: one.rest ? 'others' : one.name, attempts: sum(one.attempts), core_hours: sum(one.core_hours), core_ms: 0, dollars: sum(one.dollars), amount: one.amount }))
  }, [by, whole.data, queues.data])
  const fresh = by === 'queue' || whole.data?.by === by // the former answer is of something else
  return { rows: fresh ? rows : undefined, total: whole.data?.total, error: whole.error ?? queues.error }
}

function shownBy(by: By, total: number): Column<Row>[] {
  const title = BY.find((one) => one.value === by)?.label ?? ''
  const where = (one: Row) => (one.name && (by === 'label' || by === 'function') ? linked(to.jobs({ [by]: one.name })) : undefined)
  const cell = (one: Row) => {
    const href = where(one)
    if (!one.name) return <span className="pc-dim">no {title.toLowerCase()}</span>
    return href ? (
      <Anchor component={Link} href={href} size="md">
        {one.name}
      </Anchor>
    ) : (
      one.name
    )
  }
  const part = (one: Row) => (total > 0 ? `${((100 * one.amount) / total).toFixed(1)} %` : '–')
  return [
    { key: 'name', title, text: (one) => one.name, sort: (one) => one.name, cell },
    { key: 'runs', title: 'Runs', align: 'right', sort: (one) => one.attempts, cell: (one) => format.count(one.attempts) },
    { key: 'hours', title: 'Core hours', align: 'right', from: 'sm', sort: (one) => one.core_hours, cell: (one) => hours(one.core_hours) },
    { key: 'amount', title: 'Cost', align: 'right', sort: (one) => one.amount, cell: (one) => <Money value={one.amount} /> },
    {
      key: 'part',
      title: 'Share',
      align: 'right',
      from: 'md',
      width: 190,
      cell: (one) => (
        <>
          <span className={classes.share}>
            <Meter bare label={`Share of ${one.name}`} value={one.amount} of={total} said={part(one)} />
          </span>{' '}
          {part(one)}
        </>
      ),
    },
  ]
}
