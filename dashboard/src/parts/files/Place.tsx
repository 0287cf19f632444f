import { Checkbox, Modal, Select, TextInput } from '@mantine/core'
import { IconFolder } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useGet } from '~/api/get'
import { ErrorBox } from '../ErrorBox'
import { Form } from './Dialogs'
import classes from './files.module.css'
import { asFolder, type Entry, files, folderOf, isFolder, nameOf, visible } from './names'

interface Props {
  entries: Entry[]
  volume: string
  /** Move them, or have them twice. */
  copies: boolean
  opened: boolean
  onClose: () => void
  /** When it is done. */
  then: () => void
}

/** Asks where to, and moves or copies. */
export function Place(props: Props) {
  const { entries, copies, opened, onClose } = props
  const what = entries.length === 1 && entries[0] ? visible(nameOf(entries[0].key)).slice(0, 60) : `${entries.length} items`
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>{`${copies ? 'Copy' : 'Move'} ${what}`}</strong>}>
      {opened && <Placing {...props} />}
    </Modal>
  )
}

function Placing({ entries, volume, copies, onClose, then }: Props) {
  const here = folderOf(entries[0]?.key ?? '')
  const [text, setText] = useState(here)
  const [to, setTo] = useState(volume)
  const [replace, setReplace] = useState(false)
  const folder = asFolder(text)
  const stays = folder === here && to === volume
  const inside = to === volume && entries.some((one) => isFolder(one.key) && folder.startsWith(one.key))
  const act = useAction(
    async () => {
      let done = 0
      for (const one of entries) {
        const key = folder + (stays ? copyName(nameOf(one.key)) : nameOf(one.key))
        if (copies) done += (await post('/v1/file/copy', { key: one.key, to: key, volume, to_volume: to })).copied
        else await post('/v1/file/rename', { key: one.key, to: key, volume, replace })
      }
      return done
    },
    {
      said: (done) => (copies ? `${files(done)} copied` : 'Moved'),
      then: () => {
        onClose()
        then()
      },
      quiet: true,
    },
  )
  const wrong = inside ? 'This lies in what is to go there' : undefined
  return (
    <Form busy={act.busy} ready={!wrong && (copies || !stays)} action={copies ? 'Copy here' : 'Move here'} onClose={onClose} onSubmit={() => void act.run()}>
      {copies && <Stores value={to} onChange={setTo} />}
      <TextInput label="Folder" placeholder="the top" description="One that does not exist comes to be." value={text} onChange={(event) => setText(event.currentTarget.value)} error={wrong} autoComplete="off" data-autofocus />
      <Folders folder={folder} volume={to} onChoose={setText} />
      <ErrorBox error={act.error} />
      {!copies && act.error?.code === 'conflict' && <Checkbox label="Replace what is there" checked={replace} onChange={(event) => setReplace(event.currentTarget.checked)} />}
    </Form>
  )
}

/** "a.txt" beside itself. */
function copyName(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? `${name.slice(0, dot)} (copy)${name.slice(dot)}` : `${name} (copy)`
}

/** The bucket and all volumes that hold objects. */
function Stores({ value, onChange }: { value: string; onChange: (volume: string) => void }) {
  const { data } = useGet('/v1/volume')
  const names = data?.volumes.filter((one) => !one.host).map((one) => one.name) ?? []
  if (!names.length) return null
  const choices = [{ value: '', label: 'Bucket' }, ...names.map((name) => ({ value: `v ${name}`, label: `Volume ${name}` }))]
  return <Select label="Into" data={choices} value={value && `v ${value}`} onChange={(chosen) => onChange((chosen ?? '').replace(/^v /, ''))} allowDeselect={false} />
}

/** The folders in a folder, to go into. */
function Folders({ folder, volume, onChoose }: { folder: string; volume: string; onChoose: (folder: string) => void }) {
  const { data } = useGet('/v1/bucket', { level: true, prefix: folder, volume, limit: 1000 })
  const found = data?.objects.filter((one) => isFolder(one.key)) ?? []
  return (
    <ul className={classes.folders} aria-label="Folders">
      {folder && (
        <li>
          <button type="button" className={classes.folder} onClick={() => onChoose(folderOf(folder))}>
            <IconFolder size={16} aria-hidden /> ..
          </button>
        </li>
      )}
      {found.map((one) => (
        <li key={one.key}>
          <button type="button" className={classes.folder} onClick={() => onChoose(one.key)}>
            <IconFolder size={16} aria-hidden /> <span className="pc-cut">{visible(nameOf(one.key))}</span>
          </button>
        </li>
      ))}
      {data && !found.length && !folder && <li className="pc-dim">No folders yet</li>}
      {data && !found.length && folder && <li className="pc-dim">No folders in here</li>}
    </ul>
  )
}
