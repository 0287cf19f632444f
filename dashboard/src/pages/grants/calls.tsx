import { Button, NumberInput, TextInput } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Dialog, Empty, format, Money, Section, Snippet, Status, Table, Time, useConfirm } from '~/parts'

type Call = Shape<'CallCounted'>

/** The owner's calls: opened, and closed before their deadline. */
export function Calls() {
  const { data, error } = useLive('/v1/admin/call')
  const [opens, setOpens] = useState(false)
  const ask = useConfirm<string>()
  const close = useAction((call: string) => post('/v1/admin/call/close', { call }), { said: 'The call is closed' })
  const columns = useMemo(() => columnsOf(ask.open), [ask.open])
  const open = (
    <Button leftSection={<IconPlus size={14} />} onClick={() => setOpens(true)}>
      Open a call
    </Button>
  )
  return (
    <Section title="Calls" actions={open}>
      <Table
        label="Calls"
        columns={columns}
        rows={data?.calls}
        error={error}
        expected={3}
        id={(one) => one.name}
        href={(one) => `/grants?tab=received&call=${encodeURIComponent(one.name)}`}
        empty={<Empty title="No calls yet" more={<Snippet code={'picloud admin call open "spring" 30d --awards 3 --amount 500'} />}>A call lets accounts apply for credit until its deadline.</Empty>}
      />
      {opens && <Opening onClose={() => setOpens(false)} />}
      <Confirm {...ask.dialog} title={`Close ${ask.about}?`} action="Close the call" run={() => (ask.about === undefined ? undefined : close.run(ask.about))}>
        Nobody applies any further; what was sent can still be awarded.
      </Confirm>
    </Section>
  )
}

function columnsOf(close: (call: string) => void): Column<Call>[] {
  return [
    { key: 'name', title: 'Call', text: (one) => one.name, cell: (one) => one.name },
    { key: 'open', title: 'State', cell: (one) => <Status state={one.open ? 'active' : 'ended'}>{one.open ? 'open' : 'closed'}</Status> },
    { key: 'deadline', title: 'Deadline', from: 'sm', cell: (one) => <Time at={one.deadline} /> },
    { key: 'applications', title: 'Applications', align: 'right', cell: (one) => one.applications },
    { key: 'given', title: 'Awarded', align: 'right', cell: (one) => `${one.given} of ${one.awards}` },
    { key: 'amount', title: 'Each', align: 'right', from: 'sm', cell: (one) => <Money value={one.amount} /> },
    { key: 'expires', title: 'Grants end', from: 'md', cell: (one) => (one.expires ? <Ago at={one.expires} /> : <span className="pc-dim">never</span>) },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        one.open && (
          <Button size="compact-xs" variant="default" onClick={() => close(one.name)}>
            Close
          </Button>
        ),
    },
  ]
}

const local = (moment: number) => {
  const at = new Date(moment)
  return new Date(moment - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

function Opening({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('')
  const [deadline, setDeadline] = useState(() => local(Date.now() + 30 * 86_400_000))
  const [awards, setAwards] = useState<number | string>(1)
  const [dollars, setDollars] = useState<number | string>(500)
  const [expires, setExpires] = useState('')
  const open = useAction(
    () =>
      post('/v1/admin/call', {
        name: name.trim(),
        deadline: new Date(deadline).getTime(),
        awards: Number(awards),
        amount: Math.round(Number(dollars) * 100) * (format.DOLLAR / 100),
        expires: expires ? new Date(`${expires}T23:59:59`).getTime() : 0,
      }),
    { quiet: true, said: 'The call is open' },
  )
  return (
    <Dialog opened onClose={onClose} title="Open a call" action="Open" run={open.run} busy={open.busy} error={open.error}>
      <TextInput label="Name" required value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
      <TextInput label="Deadline" type="datetime-local" required value={deadline} onChange={(event) => setDeadline(event.currentTarget.value)} />
      <NumberInput label="Awards at most" required min={1} max={10_000} allowDecimal={false} value={awards} onChange={setAwards} />
      <NumberInput label="Dollars of each" required min={0.01} max={1_000_000} decimalScale={2} prefix="$" thousandSeparator="," value={dollars} onChange={setDollars} />
      <TextInput label="Grants end" description="Empty: never" type="date" value={expires} onChange={(event) => setExpires(event.currentTarget.value)} />
    </Dialog>
  )
}
