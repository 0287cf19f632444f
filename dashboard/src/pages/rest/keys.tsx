import { Button, Group, Select, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Empty, ErrorBox, Snippet, Status, Table, Time, useConfirm, useWho } from '~/parts'
import classes from './rest.module.css'

type Key = Shape<'RestkeyShown'>
type Secret = Shape<'RestkeySecret'>

const DAY = 86_400_000
const LASTS = [
  { value: '', label: 'Never ends' },
  { value: '30', label: 'Ends in 30 days' },
  { value: '90', label: 'Ends in 90 days' },
  { value: '365', label: 'Ends in a year' },
]
/** Seconds for which a former secret still works. */
const OVERLAPS = [
  { value: '0', label: 'The former secret ends at once' },
  { value: '3600', label: 'It works for another hour' },
  { value: '86400', label: 'It works for another day' },
]

const COLUMNS: Column<Key>[] = [
  { key: 'key', title: 'Key', cell: (one) => <span className="pc-mono">{one.api_key}</span> },
  { key: 'note', title: 'Note', text: (one) => one.note, cell: (one) => one.note || <span className="pc-dim">–</span> },
  { key: 'state', title: 'State', cell: (one) => <Status state={one.active ? 'active' : 'inactive'} /> },
  { key: 'created', title: 'Made', from: 'sm', cell: (one) => <Ago at={one.created} /> },
  { key: 'expires', title: 'Ends', from: 'sm', cell: (one) => (one.expires ? <Time at={one.expires} /> : <span className="pc-dim">never</span>) },
]

/** Keys that open one address alone. */
export function Keys({ label, address }: { label: string; address: string }) {
  const { data, error } = useLive('/v1/rest/key', { label })
  const scopes = useWho().scopes
  const may = scopes.includes('jobs') && scopes.includes('code')
  const [secret, show] = useState<Secret>()
  const [overlap, setOverlap] = useState('0')
  const rotate = useAction((key: number) => post('/v1/rest/key/rotate', { api_key: key, overlap: Number(overlap) }), { then: show })
  const remove = useAction((key: number) => post('/v1/rest/key/remove', { api_key: key }), { said: 'The key is removed', then: () => show(undefined) })
  const rotating = useConfirm<number>()
  const removing = useConfirm<number>()
  const actions: Column<Key> = {
    key: 'actions',
    title: '',
    align: 'right',
    cell: (one) => (
      <Button.Group style={{ justifyContent: 'flex-end' }}>
        <Button size="compact-sm" variant="default" aria-label={`Rotate key ${one.api_key}`} onClick={() => rotating.open(one.api_key)}>
          Rotate
        </Button>
        <Button size="compact-sm" variant="default" aria-label={`Remove key ${one.api_key}`} onClick={() => removing.open(one.api_key)}>
          Remove
        </Button>
      </Button.Group>
    ),
  }
  return (
    <Stack gap="md">
      {may && <Create label={label} show={show} />}
      {secret && <Told secret={secret} address={address} />}
      <Table label="Keys of this address" columns={may ? [...COLUMNS, actions] : COLUMNS} rows={data?.keys} error={error} expected={2} id={(one) => one.api_key} empty={<Empty title="No keys of this address">A key that is made here calls this function, reads what came of it, and opens nothing else: for whoever needs no key of your account.</Empty>} />
      <Confirm {...rotating.dialog} title={`A new secret for key ${rotating.about}?`} action="Rotate" harmless run={() => rotate.run(rotating.about ?? 0)}>
        <Select label="The former secret" data={OVERLAPS} value={overlap} allowDeselect={false} onChange={(value) => setOverlap(value ?? '0')} />
      </Confirm>
      <Confirm {...removing.dialog} title={`Remove key ${removing.about}?`} action="Remove" run={() => remove.run(removing.about ?? 0)}>
        Whoever uses it gets an error from now on.
      </Confirm>
    </Stack>
  )
}

function Create({ label, show }: { label: string; show: (secret: Secret) => void }) {
  const [note, write] = useState('')
  const [lasts, choose] = useState('')
  const create = useAction(() => post('/v1/rest/key', { label, note, expires: lasts ? Date.now() + Number(lasts) * DAY : 0 }), {
    quiet: true,
    then: (made) => {
      write('')
      show(made)
    },
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void create.run()
      }}
    >
      <Group gap="xs" align="flex-end">
        <TextInput size="xs" label="Note" placeholder="who it is for" value={note} onChange={(event) => write(event.currentTarget.value)} className={classes.grow} autoComplete="off" />
        <Select size="xs" label="How long" data={LASTS} value={lasts} allowDeselect={false} onChange={(value) => choose(value ?? '')} w={160} />
        <Button type="submit" loading={create.busy}>
          Create a key
        </Button>
      </Group>
      <ErrorBox error={create.error} />
    </form>
  )
}

/** A secret, shown this once. */
const Told = ({ secret, address }: { secret: Secret; address: string }) => (
  <div role="status" className={classes.secret}>
    <strong>Keep the secret of key {secret.api_key} now: it is shown this once.</strong>
    <Snippet title="Secret" code={secret.api_secretkey} />
    <Snippet title="A call with it" code={`curl -u ${secret.api_key}:${secret.api_secretkey} ${address}`} />
  </div>
)
