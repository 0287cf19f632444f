import { Button, NativeSelect, Textarea } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Dialog, Empty, Section, Snippet, Table, useConfirm, useWho } from '~/parts'

type Pair = Shape<'Pair'>

/** Public keys that open running jobs by ssh; each belongs to an API key and ends with it. */
export function Pairs({ keys = [] }: { keys: Shape<'KeyShown'>[] | undefined }) {
  const who = useWho()
  // Only who manages the account may add key pairs to keys that she does not carry.
  const may = who.scopes.includes('admin') && who.scopes.includes('code') && who.role !== 'member'
  const { data, error } = useLive('/v1/key/ssh')
  const [adds, setAdds] = useState(false)
  const ask = useConfirm<Pair>()
  const remove = useAction((one: Pair) => post('/v1/key/ssh/remove', { api_key: one.api_key, public: one.public }), { said: 'The ssh key is removed' })
  const notes = useMemo(() => new Map(keys.map((one) => [one.api_key, one.note])), [keys])
  const columns: Column<Pair>[] = [
    { key: 'public', title: 'Public key', text: (one) => one.public, cell: (one) => <span className="pc-mono">{short(one.public)}</span> },
    { key: 'key', title: 'Of API key', text: (one) => notes.get(one.api_key) ?? '', cell: (one) => <>{one.api_key} <span className="pc-dim">{notes.get(one.api_key)}</span></> },
    { key: 'created', title: 'Added', from: 'sm', cell: (one) => <Ago at={one.created} /> },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        may && (
          <Button size="compact-xs" variant="default" onClick={() => ask.open(one)}>
            Remove
          </Button>
        ),
    },
  ]
  const add = may && keys.length > 0 && (
    <Button variant="default" leftSection={<IconPlus size={14} />} onClick={() => setAdds(true)}>
      Add an ssh key
    </Button>
  )
  return (
    <Section title="ssh keys" actions={add}>
      <Table
        label="ssh keys"
        columns={columns}
        rows={data?.keys}
        error={error}
        expected={1}
        id={(one) => `${one.api_key} ${one.public}`}
        empty={<Empty title="No ssh keys yet" more={<Snippet code="picloud ssh 5" />}>With a key pair any ssh client enters a running job. The command line adds yours when it needs one.</Empty>}
      />
      {adds && <Add keys={keys} onClose={() => setAdds(false)} />}
      <Confirm {...ask.dialog} title="Remove this ssh key?" action="Remove" run={() => ask.about && remove.run(ask.about)}>
        <span className="pc-mono" style={{ overflowWrap: 'anywhere' }}>
          {ask.about?.public}
        </span>
      </Confirm>
    </Section>
  )
}

const short = (text: string) => (text.length > 44 ? `${text.slice(0, 24)}…${text.slice(-16)}` : text)

function Add({ keys, onClose }: { keys: Shape<'KeyShown'>[]; onClose: () => void }) {
  const live = keys.filter((one) => one.active)
  const [key, setKey] = useState(String(live[0]?.api_key ?? ''))
  const [text, setText] = useState('')
  const add = useAction(() => post('/v1/key/ssh', { api_key: Number(key), public: text.trim() }), { quiet: true, said: 'The ssh key is added' })
  return (
    <Dialog opened onClose={onClose} title="Add an ssh key" action="Add" run={add.run} busy={add.busy} error={add.error}>
      <Textarea label="Public key" description="One line, as in ~/.ssh/id_ed25519.pub" required autosize minRows={3} classNames={{ input: 'pc-mono' }} value={text} onChange={(event) => setText(event.currentTarget.value)} data-autofocus />
      <NativeSelect label="Of API key" description="It opens jobs as long as this key is on" data={live.map((one) => ({ value: String(one.api_key), label: one.note ? `${one.api_key}: ${one.note}` : String(one.api_key) }))} value={key} onChange={(event) => setKey(event.currentTarget.value)} />
    </Dialog>
  )
}
