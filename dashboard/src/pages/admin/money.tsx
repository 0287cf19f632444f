import { Button, NativeSelect, NumberInput, TextInput } from '@mantine/core'
import { IconGift } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import { Ago, type Column, Dialog, Empty, ErrorBox, format, Money, Section, Table, Tile, Tiles, useQuery, useWho } from '~/parts'
import classes from './admin.module.css'

interface Grant {
  id: number
  amount: number
  left: number
  reason: string
  author: string
  begins: number
  ends: number | null
}

const CENT = format.DOLLAR / 100
/** Dollars that somebody has typed, as an amount of the wire; exact to the cent. */
const amountOf = (dollars: number | string) => Math.round(Number(dollars) * 100) * CENT

const COLUMNS: Column<Grant>[] = [
  { key: 'reason', title: 'For', text: (one) => one.reason, cell: (one) => one.reason || <span className="pc-dim">no reason given</span> },
  { key: 'author', title: 'Given by', from: 'sm', cell: (one) => one.author },
  { key: 'begins', title: 'Given', from: 'sm', cell: (one) => <Ago at={one.begins} /> },
  { key: 'ends', title: 'Ends', cell: (one) => (one.ends ? <Ago at={one.ends} /> : <span className="pc-dim">never</span>) },
  { key: 'amount', title: 'Amount', align: 'right', cell: (one) => <Money value={one.amount} /> },
  { key: 'left', title: 'Left', align: 'right', cell: (one) => <Money value={one.left} /> },
]

/** The money of any account: its grants and limits, and more of both. */
export function Grants() {
  const who = useWho()
  const { data: all } = useLive('/v1/admin/account')
  const [{ account = who.account }, setQuery] = useQuery('account')
  const { data: money, error } = useLive('/v1/credit', { account })
  const [opened, setOpened] = useState<'grant' | 'limits'>()
  const names = all?.accounts.filter((one) => !one.going).map((one) => one.name) ?? [account]
  const actions = (
    <div className={classes.filters}>
      <NativeSelect size="xs" aria-label="Account" data={names} value={account} onChange={(event) => setQuery({ account: event.currentTarget.value })} />
      <Button variant="default" onClick={() => setOpened('limits')} disabled={!money}>
        Set limits
      </Button>
      <Button leftSection={<IconGift size={14} />} onClick={() => setOpened('grant')}>
        Give a grant
      </Button>
    </div>
  )
  return (
    <Section title={`Money of ${account}`} actions={actions}>
      <div className={classes.stack}>
        <ErrorBox error={money ? undefined : error} />
        <Tiles>
          <Tile title="Left to spend" value={money && <Money value={money.left} />} note={money && money.beyond > 0 && `${format.money(money.beyond)} beyond the credit`} />
          <Tile title="Spent this month" value={money && <Money value={money.spent} />} note={money && `${format.money(money.free_left)} of free credit left`} />
          <Tile title="Warns at" value={money && (money.soft === null ? 'never' : <Money value={money.soft} />)} note="of a month" />
          <Tile title="Limit" value={money && (money.hard === null ? 'none' : <Money value={money.hard} />)} note={money && (money.stops ? 'of a month; then jobs stop' : 'of a month; it is told and stops nothing')} />
        </Tiles>
        <Table label={`Grants of ${account}`} columns={COLUMNS} rows={money?.grants as Grant[] | undefined} error={error} expected={2} id={(one) => one.id} empty={<Empty title="No grants yet">A grant is credit beyond the free hours of each month.</Empty>} />
      </div>
      {opened === 'grant' && <Give account={account} onClose={() => setOpened(undefined)} />}
      {opened === 'limits' && money && <Limits account={account} soft={money.soft} hard={money.hard} onClose={() => setOpened(undefined)} />}
    </Section>
  )
}

function Give({ account, onClose }: { account: string; onClose: () => void }) {
  const [dollars, setDollars] = useState<number | string>(100)
  const [reason, setReason] = useState('')
  const [ends, setEnds] = useState('')
  const [token] = useState(() => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')) // a repeat gives nothing twice
  const give = useAction(() => post('/v1/admin/grant', { account, amount: amountOf(dollars), reason, expires: ends ? new Date(`${ends}T23:59:59`).getTime() : null, token }), { quiet: true, said: `${account} has the grant` })
  return (
    <Dialog opened onClose={onClose} title={`A grant for ${account}`} action="Give it" run={give.run} busy={give.busy} error={give.error}>
      <NumberInput label="Dollars" required min={0.01} max={1_000_000} decimalScale={2} prefix="$" thousandSeparator="," value={dollars} onChange={setDollars} data-autofocus />
      <TextInput label="For" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
      <TextInput label="Ends" description="Empty: never" type="date" value={ends} onChange={(event) => setEnds(event.currentTarget.value)} />
    </Dialog>
  )
}

interface LimitsProps {
  account: string
  soft: number | null
  hard: number | null
  onClose: () => void
}

function Limits({ account, soft, hard, onClose }: LimitsProps) {
  const [warns, setWarns] = useState<number | string>(soft === null ? '' : soft / format.DOLLAR)
  const [most, setMost] = useState<number | string>(hard === null ? '' : hard / format.DOLLAR)
  const amount = (dollars: number | string) => (dollars === '' ? null : amountOf(dollars))
  const set = useAction(() => post('/v1/admin/limit', { account, soft: amount(warns), hard: amount(most) }), { quiet: true, said: 'The limits are set' })
  return (
    <Dialog opened onClose={onClose} title={`Limits of ${account}, a month`} action="Set them" run={set.run} busy={set.busy} error={set.error}>
      <NumberInput label="Warn at" description="Empty: never" min={0} max={1_000_000} decimalScale={2} prefix="$" thousandSeparator="," value={warns} onChange={setWarns} data-autofocus />
      <NumberInput label="Limit" description="Empty: none" min={0} max={1_000_000} decimalScale={2} prefix="$" thousandSeparator="," value={most} onChange={setMost} />
    </Dialog>
  )
}
