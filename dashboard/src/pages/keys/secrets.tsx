import { ActionIcon, Button, Group, PasswordInput, Text, TextInput } from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useState } from 'react'
import { tell, useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Dialog, Empty, Section, Snippet, Status, Table, useConfirm, useWho } from '~/parts'

type Secret = Shape<'SecretShown'>

/** Secrets: names and variables are seen, values only go in. */
export function Secrets() {
  const may = useWho().scopes.includes('admin')
  const { data, error } = useLive('/v1/secret')
  const [about, setAbout] = useState<Secret | 'new'>()
  const ask = useConfirm<string>()
  const remove = useAction((name: string) => post('/v1/secret/remove', { name }), { said: 'The secret is removed' })
  const columns: Column<Secret>[] = [
    { key: 'name', title: 'Name', text: (one) => one.name, cell: (one) => one.name },
    { key: 'variables', title: 'Variables', text: (one) => one.variables.join(', '), cell: (one) => <span className="pc-mono">{one.variables.join(', ')}</span> },
    { key: 'changed', title: 'Changed', from: 'sm', cell: (one) => <Ago at={one.changed} /> },
    { key: 'usable', title: 'State', from: 'sm', cell: (one) => (one.usable ? <Status state="ready">usable</Status> : <Status state="error">its key was lost: set it anew</Status>) },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        may && (
          <>
            <Button size="compact-xs" variant="default" mr={6} onClick={() => setAbout(one)}>
              Set anew
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => ask.open(one.name)}>
              Remove
            </Button>
          </>
        ),
    },
  ]
  const add = may && (
    <Button leftSection={<IconPlus size={14} />} onClick={() => setAbout('new')}>
      Add a secret
    </Button>
  )
  return (
    <Section title="Secrets" actions={add}>
      <Table
        label="Secrets"
        columns={columns}
        rows={data?.secrets}
        error={error}
        expected={2}
        id={(one) => one.name}
        empty={<Empty title="No secrets yet" more={<Snippet code={'import cloud\n\ncloud.secret.set("db", {"DB_PASSWORD": "..."})\ncloud.call(load, _secrets=["db"])'} />}>Passwords that jobs find as variables of their environment; their logs have ••• in place of them.</Empty>}
      />
      {about && <Put former={about === 'new' ? undefined : about} onClose={() => setAbout(undefined)} />}
      <Confirm {...ask.dialog} title={`Remove the secret ${ask.about}?`} action="Remove" run={() => (ask.about === undefined ? undefined : remove.run(ask.about))}>
        Jobs that name it fail from now on; attempts that have begun keep what they were given.
      </Confirm>
    </Section>
  )
}

interface Line {
  id: number
  variable: string
  value: string
}

function Put({ former, onClose }: { former: Secret | undefined; onClose: () => void }) {
  const [name, setName] = useState(former?.name ?? '')
  const [lines, setLines] = useState<Line[]>(() => (former?.variables ?? ['']).map((variable, id) => ({ id, variable, value: '' })))
  const change = (id: number, part: Partial<Line>) => setLines(lines.map((one) => (one.id === id ? { ...one, ...part } : one)))
  const put = useAction(() => post('/v1/secret', { name: name.trim(), values: Object.fromEntries(lines.map((one) => [one.variable.trim(), one.value])) }), {
    quiet: true,
    then: ({ unmasked }) => tell(unmasked.length ? `The secret is kept; too short to be masked in logs: ${unmasked.join(', ')}` : 'The secret is kept'),
  })
  return (
    <Dialog opened onClose={onClose} title={former ? `Set ${former.name} anew` : 'Add a secret'} action="Keep it" run={put.run} busy={put.busy} error={put.error}>
      {former ? (
        <Text size="sm" c="dimmed">
          All that the secret had before is replaced.
        </Text>
      ) : (
        <TextInput label="Name" description="By which jobs name it" required value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
      )}
      {lines.map((one, at) => (
        <Group key={one.id} gap="xs" wrap="nowrap" align="flex-end">
          <TextInput label="Variable" required placeholder="DB_PASSWORD" autoComplete="off" style={{ flex: 1 }} classNames={{ input: 'pc-mono' }} value={one.variable} onChange={(event) => change(one.id, { variable: event.currentTarget.value })} />
          <PasswordInput label="Value" required autoComplete="new-password" style={{ flex: 1 }} value={one.value} onChange={(event) => change(one.id, { value: event.currentTarget.value })} visibilityToggleButtonProps={{ 'aria-label': 'Show the value' }} />
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Remove variable ${at + 1}`} disabled={lines.length < 2} onClick={() => setLines(lines.filter((each) => each.id !== one.id))}>
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
      <div>
        <Button variant="subtle" leftSection={<IconPlus size={14} />} onClick={() => setLines([...lines, { id: Math.max(...lines.map((one) => one.id)) + 1, variable: '', value: '' }])}>
          One more variable
        </Button>
      </div>
    </Dialog>
  )
}
