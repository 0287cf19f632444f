import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, ErrorBox, format, Meter, Money, Section, Table, Tile, Tiles } from '~/parts'
import classes from './usage.module.css'

interface Grant {
  id: number
  amount: number
  left: number
  reason: string
  author: string
  begins: number
  ends: number | null
}

const GRANTS: Column<Grant>[] = [
  { key: 'reason', title: 'For', text: (one) => one.reason, cell: (one) => one.reason || <span className="pc-dim">no reason given</span> },
  { key: 'begins', title: 'Given', from: 'sm', cell: (one) => <Ago at={one.begins} /> },
  { key: 'ends', title: 'Ends', cell: (one) => (one.ends ? <Ago at={one.ends} /> : <span className="pc-dim">never</span>) },
  { key: 'amount', title: 'Amount', align: 'right', cell: (one) => <Money value={one.amount} /> },
  { key: 'left', title: 'Left', align: 'right', cell: (one) => <Money value={one.left} /> },
  {
    key: 'part',
    title: 'Used',
    from: 'md',
    width: 140,
    cell: (one) => <Meter bare label={`Used of the grant ${one.reason}`} value={one.amount - one.left} of={one.amount} said={`${format.money(one.amount - one.left)} of ${format.money(one.amount)} used`} />,
  },
]

const MONTH = new Intl.DateTimeFormat(undefined, { month: 'long', timeZone: 'UTC' })

/** What there is to spend: the free credit of the month, grants, limits. */
export function Credit() {
  const { data: money, error } = useLive('/v1/credit')
  const grants = money?.grants as Grant[] | undefined
  if (error && !money) return <ErrorBox error={error} />
  return (
    <>
      {money?.stopped && (
        <div role="alert" className={classes.warning}>
          Jobs are stopped: {money.stopped}
        </div>
      )}
      <Tiles>
        <Tile title="Left to spend" value={money && <Money value={money.left} />} note={money && (money.beyond > 0 ? `${format.money(money.beyond)} beyond your credit` : 'free credit and grants together')} />
        <Tile title="Spent this month" value={money && <Money value={money.spent} />} note={money && MONTH.format(new Date(money.month))} />
        <Tile title="Limit of a month" value={money && (money.hard === null ? 'None' : <Money value={money.hard} />)} note={money && limits(money)} />
      </Tiles>
      {money && money.free > 0 && (
        <div className={`pc-card ${classes.card}`}>
          <Meter
            label={`Free credit of ${MONTH.format(new Date(money.month))}`}
            value={money.free - money.free_left}
            of={money.free}
            said={`${format.money(money.free - money.free_left)} of ${format.money(money.free)} used, ${format.money(money.free_left)} left`}
            tone={money.free_left === 0 ? 'warns' : 'accent'}
          />
        </div>
      )}
      {grants && grants.length > 0 && (
        <Section title="Grants">
          <Table label="Grants" columns={GRANTS} rows={grants} id={(one) => one.id} />
        </Section>
      )}
    </>
  )
}

function limits(money: Shape<'Money'>): string {
  const soft = money.soft === null ? '' : `warns at ${format.money(money.soft)}`
  if (money.hard === null) return soft || 'spending is not limited'
  return [soft, money.stops ? 'then jobs stop' : 'is told, stops nothing'].filter(Boolean).join(', ')
}
