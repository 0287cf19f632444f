import { Button, Checkbox, Group, Modal, Stack, TextInput } from '@mantine/core'
import { type ReactNode, useEffect, useState } from 'react'
import { type Action, useAction } from '~/api/action'
import { post } from '~/api/client'
import { asError } from '~/api/error'
import { ErrorBox } from '../ErrorBox'
import { bytes } from '../format'
import { count, type Counted } from './looks'
import { type Entry, fault, files, folderOf, isFolder, nameOf, visible } from './names'

interface Props {
  volume: string
  opened: boolean
  onClose: () => void
}

interface FormProps {
  busy: boolean
  ready: boolean
  action: string
  danger?: boolean
  onClose: () => void
  onSubmit: () => void
  children: ReactNode
}

/** The frame of a dialog that asks for something. */
export function Form({ busy, ready, action, danger, onClose, onSubmit, children }: FormProps) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (ready) onSubmit()
      }}
    >
      <Stack gap="md">
        {children}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={!ready} color={danger ? 'red.8' : undefined}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** A new, empty folder in a folder. */
export function NewFolder({ volume, folder, opened, onClose }: Props & { folder: string }) {
  const make = useAction((name: string) => post('/v1/file/folder', { key: folder + name, volume }), { said: 'The folder is there', then: onClose, quiet: true })
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>New folder</strong>}>
      {opened && <Named label="Name" was="" action="Create" make={make} onClose={onClose} />}
    </Modal>
  )
}

/** Another name in the same folder. */
export function Rename({ volume, entry, opened, onClose }: Props & { entry: Entry | undefined }) {
  const change = useAction(
    async (name: string, replace?: boolean) => {
      if (entry) await post('/v1/file/rename', { key: entry.key, to: folderOf(entry.key) + name, volume, replace: replace ?? false })
    },
    { said: 'It is renamed', then: onClose, quiet: true },
  )
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>Rename</strong>}>
      {opened && entry && <Named label="New name" was={nameOf(entry.key)} action="Rename" make={change} onClose={onClose} replace={!isFolder(entry.key)} />}
    </Modal>
  )
}

interface NamedProps {
  label: string
  was: string
  action: string
  make: Action<[string, boolean?], unknown>
  onClose: () => void
  /** Offers to replace what is there under that name. */
  replace?: boolean
}

function Named({ label, was, action, make, onClose, replace }: NamedProps) {
  const [name, setName] = useState(was)
  const [over, setOver] = useState(false)
  const wrong = fault(name)
  return (
    <Form busy={make.busy} ready={!wrong && name !== was} action={action} onClose={onClose} onSubmit={() => void make.run(name, over)}>
      <TextInput label={label} value={name} onChange={(event) => setName(event.currentTarget.value)} error={name && wrong} autoComplete="off" data-autofocus />
      <ErrorBox error={make.error} />
      {replace && make.error?.code === 'conflict' && <Checkbox label="Replace what is there" checked={over} onChange={(event) => setOver(event.currentTarget.checked)} />}
    </Form>
  )
}

const MANY = 100

/** Asks with what would be lost, counted, and removes it. */
export function Remove({ volume, entries, opened, onClose, then }: Props & { entries: Entry[]; then: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>{entries.length === 1 && entries[0] ? `Delete ${visible(nameOf(entries[0].key)).slice(0, 60)}?` : `Delete ${entries.length} items?`}</strong>}>
      {opened && <Removal volume={volume} entries={entries} onClose={onClose} then={then} />}
    </Modal>
  )
}

function Removal({ volume, entries, onClose, then }: { volume: string; entries: Entry[]; onClose: () => void; then: () => void }) {
  const { sum, error } = useSum(entries, volume)
  const [typed, setTyped] = useState('')
  const folders = entries.filter((one) => isFolder(one.key))
  const remove = useAction(
    async () => {
      const keys = entries.filter((one) => !isFolder(one.key)).map((one) => one.key)
      let removed = keys.length ? (await post('/v1/file/remove', { keys, volume })).removed : 0
      for (const one of folders) removed += (await post('/v1/file/remove', { folder: one.key, volume })).removed
      return removed
    },
    {
      said: (removed) => (removed ? `${files(removed)} deleted` : 'Deleted'),
      then: () => {
        onClose()
        then()
      },
    },
  )
  const many = folders.length > 0 && sum !== undefined && sum.files > MANY
  const ready = folders.length === 0 || (sum !== undefined && (!many || typed === 'delete'))
  return (
    <Form busy={remove.busy} ready={ready} action="Delete" danger onClose={onClose} onSubmit={() => void remove.run()}>
      <div>
        {folders.length > 0 && <p style={{ margin: 0 }}>{folders.length === 1 ? 'The folder goes' : `${folders.length} folders go`} with all that lies in {folders.length === 1 ? 'it' : 'them'}.</p>}
        <p style={{ margin: 0 }} aria-live="polite">
          {sum ? (
            <>
              <strong>
                {sum.more && 'more than '}
                {files(sum.files)}
              </strong>
              , {bytes(sum.bytes)}
            </>
          ) : (
            'Counting..'
          )}
          . This cannot be undone.
        </p>
      </div>
      <ErrorBox error={error} />
      {many && <TextInput label='Type "delete" to go on' value={typed} onChange={(event) => setTyped(event.currentTarget.value)} autoComplete="off" />}
    </Form>
  )
}

/** How much lies in all of these together, as soon as it is counted. */
function useSum(entries: Entry[], volume: string) {
  const [sum, setSum] = useState<Counted>()
  const [error, setError] = useState<ReturnType<typeof asError>>()
  const [all] = useState(entries)
  useEffect(() => {
    const stop = new AbortController()
    const add = async () => {
      const plain = all.filter((one) => !isFolder(one.key))
      const total = { files: plain.length, bytes: plain.reduce((most, one) => most + one.size, 0), more: false }
      for (const one of all.filter((one) => isFolder(one.key))) {
        const found = await count(one.key, volume, () => undefined, stop.signal)
        total.files += found.files
        total.bytes += found.bytes
        total.more ||= found.more
      }
      setSum(total)
    }
    add().catch((thrown: unknown) => !stop.signal.aborted && setError(asError(thrown)))
    return () => stop.abort()
  }, [all, volume])
  return { sum, error }
}
