import { Button } from '@mantine/core'
import { IconPrinter } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { useGet } from '~/api/get'
import { ErrorBox, format, Page, useWho } from '~/parts'
import classes from './usage.module.css'

/** Rows of a table: all has to be on one page. */
const MOST = 8
const MONTHS = 12

interface Grant {
  id: number
  amount: number
  left: number
  reason: string
  begins: number
  ends: number | null
}

interface Sum {
  core_hours: number
  amount: number
  [by: string]: unknown
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' })
const day = (moment: number | null) => (moment === null ? '–' : new Date(moment).toISOString().slice(0, 10))

/** One printable page on the account's grants: what was given, what it was used for, what is left. */
export function Report() {
  const who = useWho()
  const [now] = useState(() => new Date())
  const credit = useGet('/v1/credit')
  const days = useGet('/v1/usage', { by: 'day', limit: 100_000 })
  const functions = useGet('/v1/usage', { by: 'function', limit: 1000 })
  const labels = useGet('/v1/usage', { by: 'label', limit: 1000 })
  const types = useGet('/v1/usage', { by: 'type', limit: 1000 })
  const error = credit.error ?? days.error ?? functions.error ?? labels.error ?? types.error
  const total = days.data?.total
  const print = (
    <Button className="pc-screen" leftSection={<IconPrinter size={14} />} disabled={!total} onClick={() => window.print()}>
      Print, or save as PDF
    </Button>
  )
  return (
    <Page title={`Grant report: ${who.account}`} crumbs={[{ title: 'Usage', href: '/usage' }]} actions={print}>
      <ErrorBox error={error} />
      {credit.data && total && (
        <article className={classes.paper}>
          <p className="pc-dim">
            {DAY.format(now)} · {format.count(Math.round(total.core_hours * 100) / 100)} core-hours in {format.count(total.attempts)} attempts · {format.money(total.amount)} in all · {format.money(credit.data.left)} left to spend
          </p>
          <h2>Grants</h2>
          <Grants grants={credit.data.grants as unknown as Grant[]} />
          <h2>Spent by month</h2>
          <Months rows={days.data?.rows as Sum[]} />
          <div className={classes.pair}>
            <Sums title="function" rows={functions.data?.rows as Sum[] | undefined} />
            <Sums title="label" rows={labels.data?.rows as Sum[] | undefined} />
          </div>
          <Sums title="type" name="core type" rows={types.data?.rows as Sum[] | undefined} />
          <p className="pc-dim">
            Each attempt is billed by begun milliseconds x cores x the price when it began; months are those of UTC. The sums are exact: {format.count(total.amount)} units, {format.count(format.DOLLAR)} of which are $1.
          </p>
        </article>
      )}
    </Page>
  )
}

function Grants({ grants }: { grants: Grant[] }) {
  if (!grants.length) return <p className="pc-dim">None was given; the free hours of each month paid.</p>
  const newest = [...grants].reverse()
  return (
    <Lines count={newest.length} head={['given', 'for', 'until', 'amount', 'used', 'left']} right={3}>
      {newest.slice(0, MOST).map((one) => (
        <tr key={one.id}>
          <td>{day(one.begins)}</td>
          <td>{one.reason || '–'}</td>
          <td>{day(one.ends)}</td>
          <td data-right>{format.money(one.amount)}</td>
          <td data-right>{format.money(one.amount - one.left)}</td>
          <td data-right>{format.money(one.left)}</td>
        </tr>
      ))}
    </Lines>
  )
}

function Sums({ title, name = title, rows = [] }: { title: string; name?: string; rows: Sum[] | undefined }) {
  return (
    <div>
      <h2>By {name}</h2>
      <Lines count={rows.length} head={[name, 'core-hours', 'cost']} right={1}>
        {rows.slice(0, MOST).map((one) => (
          <tr key={String(one[title])}>
            <td>{String(one[title]) || '–'}</td>
            <td data-right>{one.core_hours.toFixed(2)}</td>
            <td data-right>{format.money(one.amount)}</td>
          </tr>
        ))}
      </Lines>
    </div>
  )
}

/** A table of the report; columns from `right` on are numbers. */
function Lines({ head, right, count, children }: { head: string[]; right: number; count: number; children: ReactNode }) {
  return (
    <>
      <table>
        <thead>
          <tr>
            {head.map((one, at) => (
              <th key={one} data-right={at >= right || undefined}>
                {one}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
      {count > MOST && <p className="pc-dim">and {count - MOST} more</p>}
    </>
  )
}

/** Bars of the last months that had any work. */
function Months({ rows }: { rows: Sum[] }) {
  const months = new Map<string, number>()
  for (const one of rows) {
    const month = String(one.day).slice(0, 7)
    months.set(month, (months.get(month) ?? 0) + one.amount)
  }
  const shown = [...months].sort(([a], [b]) => a.localeCompare(b)).slice(-MONTHS)
  const most = Math.max(1, ...shown.map(([, amount]) => amount))
  if (!shown.length) return <p className="pc-dim">Nothing yet.</p>
  return (
    <div className={classes.months} role="img" aria-label={`Dollars by month. ${shown.map(([month, amount]) => `${month}: ${format.money(amount)}`).join('; ')}`}>
      {shown.map(([month, amount]) => (
        <span key={month} className={classes.month}>
          {format.money(amount)}
          <div style={{ height: `${(amount / most) * 70}%` }} />
          {month}
        </span>
      ))}
    </div>
  )
}
