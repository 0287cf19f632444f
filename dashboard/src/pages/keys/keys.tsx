import { ActionIcon, Button, Menu, NativeSelect, Switch } from '@mantine/core'
import { IconDots, IconPlus } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Copy, Dialog, Empty, Section, Snippet, Table, useConfirm, useWho } from '~/parts'
import { ends, Fields, type Wish } from './fields'
import classes from './keys.module.css'
import { Once } from './once'
import { Pairs } from './pairs'

type Key = Shape<'KeyShown'>
interface Made {
  title: string
  key: Shape<'KeySecret'>
}

/** The account's API keys, and the ssh keys that belong to them. */
export function Keys() {
  const who = useWho()
  const may = who.scopes.includes('admin')
  const { data, error } = useLive('/v1/key')
  const [made, setMade] = useState<Made>()
  const [creates, setCreates] = useState(false)
  const [edited, setEdited] = useState<Key>()
  const [rotated, setRotated] = useState<Key>()
  const off = useConfirm<Key>()
  const change = useAction((key: Key, active: boolean) => post('/v1/key/change', { api_key: key.api_key, active }), { said: (one) => `Key ${one.api_key} is switched ${one.active ? 'on' : 'off'}` })
  const columns = useMemo(
    () =>
      columnsOf(who, may ? { edit: setEdited, rotate: setRotated, turn: (key) => (key.active ? off.open(key) : void change.run(key, true)) } : undefined),
    [who, may, off.open, change.run], // eslint-disable-line react-hooks/exhaustive-deps
  )
  const create = may && (
    <Button leftSection={<IconPlus size={14} />} onClick={() => setCreates(true)}>
      Create a key
    </Button>
  )
  return (
    <div className={classes.stack}>
      <Section title="Keys of the account" actions={create}>
        <Table
          label="API keys"
          columns={columns}
          rows={data?.keys}
          error={error}
          expected={3}
          id={(one) => one.api_key}
          empty={<Empty title="No keys yet" more={<Snippet code={`picloud setup ${location.origin} --email ${who.email ?? 'you@example.org'}`} />}>A key lets a program or a machine in; one for each, so that a lost laptop is one switch.</Empty>}
        />
      </Section>
      <Pairs keys={data?.keys} />
      {creates && <Create onClose={() => setCreates(false)} onMade={(key) => setMade({ title: 'The key is made', key })} />}
      {edited && <Edit key={edited.api_key} one={edited} onClose={() => setEdited(undefined)} />}
      {rotated && <Rotate one={rotated} onClose={() => setRotated(undefined)} onMade={(key) => setMade({ title: 'The new secret', key })} />}
      {made && <Once made={made.key} title={made.title} onClose={() => setMade(undefined)} />}
      <Confirm {...off.dialog} title={`Switch key ${off.about?.api_key} off?`} action="Switch off" run={() => off.about && change.run(off.about, false)}>
        {off.about?.note && <p>{off.about.note}</p>}
        Requests with it are refused from that moment on, and what is open by it ends. It can be switched on again.
      </Confirm>
    </div>
  )
}

interface Acts {
  edit: (key: Key) => void
  rotate: (key: Key) => void
  turn: (key: Key) => void
}

export const Scopes = ({ scopes }: { scopes: string[] }) => (
  <span className={classes.chips}>
    {scopes.map((one) => (
      <span key={one} className={classes.chip} data-much={one === 'admin' || undefined}>
        {one}
      </span>
    ))}
  </span>
)

function columnsOf(who: { user: string | null }, acts: Acts | undefined): Column<Key>[] {
  return [
    {
      key: 'key',
      title: 'Key',
      cell: (one) => (
        <span className={classes.acts}>
          <span className="pc-mono">{one.api_key}</span>
          <Copy text={String(one.api_key)} label="Copy the key's number" />
        </span>
      ),
    },
    { key: 'note', title: 'Note', text: (one) => one.note, cell: (one) => one.note || <span className="pc-dim">none</span> },
    { key: 'scopes', title: 'Scopes', from: 'md', text: (one) => one.scopes.join(', '), cell: (one) => <Scopes scopes={one.scopes} /> },
    { key: 'user', title: 'User', from: 'lg', text: (one) => one.user, cell: (one) => (one.user === who.user ? 'you' : one.user || <span className="pc-dim">the account</span>) },
    { key: 'created', title: 'Created', from: 'sm', sort: (one) => one.created, cell: (one) => <Ago at={one.created} /> },
    { key: 'expires', title: 'Expires', from: 'sm', cell: (one) => (one.expires ? <Ago at={one.expires} /> : <span className="pc-dim">never</span>) },
    {
      key: 'on',
      title: 'On',
      cell: (one) => <Switch size="xs" aria-label={`Key ${one.api_key} is on`} checked={one.active} disabled={!acts} onChange={() => acts?.turn(one)} />,
    },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        acts && (
          <Menu position="bottom-end" shadow="sm">
            <Menu.Target>
              <ActionIcon variant="subtle" color="gray" aria-label={`More on key ${one.api_key}`}>
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => acts.edit(one)}>Note, scopes, end…</Menu.Item>
              <Menu.Item onClick={() => acts.rotate(one)}>A new secret…</Menu.Item>
            </Menu.Dropdown>
          </Menu>
        ),
    },
  ]
}

function Create({ onClose, onMade }: { onClose: () => void; onMade: (key: Shape<'KeySecret'>) => void }) {
  const { scopes } = useWho()
  const [wish, setWish] = useState<Wish>({ note: '', scopes: scopes.filter((one) => one !== 'admin'), lasts: '0' })
  const create = useAction(() => post('/v1/key', { note: wish.note.trim(), scopes: wish.scopes, expires: ends(wish.lasts) }), { quiet: true, then: onMade })
  return (
    <Dialog opened onClose={onClose} title="Create a key" action="Create" run={create.run} busy={create.busy} error={create.error} disabled={!wish.scopes.length}>
      <Fields wish={wish} change={(part) => setWish({ ...wish, ...part })} />
    </Dialog>
  )
}

function Edit({ one, onClose }: { one: Key; onClose: () => void }) {
  const [wish, setWish] = useState<Wish>({ note: one.note, scopes: one.scopes, lasts: '' })
  const change = useAction(
    () =>
      post('/v1/key/change', {
        api_key: one.api_key,
        note: wish.note.trim(),
        scopes: wish.scopes.join() === one.scopes.join() ? undefined : wish.scopes,
        expires: wish.lasts === '' ? undefined : ends(wish.lasts),
      }),
    { quiet: true, said: `Key ${one.api_key} is changed` },
  )
  return (
    <Dialog opened onClose={onClose} title={`Key ${one.api_key}`} action="Change" run={change.run} busy={change.busy} error={change.error} disabled={!wish.scopes.length}>
      <Fields wish={wish} change={(part) => setWish({ ...wish, ...part })} keeps />
    </Dialog>
  )
}

const OVERLAPS = [
  { value: '0', label: 'At once' },
  { value: '3600', label: 'After an hour' },
  { value: '86400', label: 'After a day' },
  { value: '604800', label: 'After 7 days' },
]

function Rotate({ one, onClose, onMade }: { one: Key; onClose: () => void; onMade: (key: Shape<'KeySecret'>) => void }) {
  const [overlap, setOverlap] = useState('86400')
  const rotate = useAction(() => post('/v1/key/rotate', { api_key: one.api_key, overlap: Number(overlap) }), { quiet: true, then: onMade })
  return (
    <Dialog opened onClose={onClose} title={`A new secret for key ${one.api_key}?`} action="Make it" run={rotate.run} busy={rotate.busy} error={rotate.error}>
      {one.note && <div className="pc-dim">{one.note}</div>}
      <NativeSelect label="The former secret ends" description="Time to carry the new one to where the key is used" data={OVERLAPS} value={overlap} onChange={(event) => setOverlap(event.currentTarget.value)} data-autofocus />
    </Dialog>
  )
}
