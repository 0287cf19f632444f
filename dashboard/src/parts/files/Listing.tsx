import { ActionIcon, Button, Menu } from '@mantine/core'
import { IconCopy, IconDots, IconDownload, IconFile, IconFolder, IconFolderSymlink, IconPencil, IconTrash, IconWorld } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { useAction } from '~/api/action'
import type { ApiError } from '~/api/error'
import { Empty } from '../Empty'
import { type Column, type Id, Table } from '../Table'
import { Ago, Bytes } from '../values'
import { Remove, Rename } from './Dialogs'
import { at } from './Files'
import classes from './files.module.css'
import { save } from './looks'
import { type Entry, isFolder, nameOf, visible } from './names'
import { Place } from './Place'

interface Props {
  volume: string
  folder: string
  after: string | undefined
  entries: Entry[] | undefined
  error: ApiError | undefined
  stale: boolean
  /** She may change something here. */
  may: boolean
  empty: ReactNode
}

type Doing = { what: 'rename' | 'move' | 'copy' | 'remove'; entries: Entry[] }

/** One page of a folder, with all that can be done to what lies in it. */
export function Listing({ volume, after, folder, entries, error, stale, may, empty }: Props) {
  const [chosen, setChosen] = useState<ReadonlySet<Id>>(new Set())
  const [doing, setDoing] = useState<Doing>()
  const [opened, setOpened] = useState(false)
  const begin = (what: Doing['what'], entries: Entry[]) => {
    setDoing({ what, entries })
    setOpened(true)
  }
  const load = useAction(async (keys: string[]) => {
    for (const key of keys) await save(key, volume)
    return true
  })
  const dialog = { volume, opened, onClose: () => setOpened(false) }
  const done = () => setChosen(new Set())
  const those = doing?.entries ?? []
  return (
    <>
      <Table
        label={volume ? `Files of ${volume}` : 'Files of the bucket'}
        columns={columns((one) => <More one={one} may={may} begin={begin} load={(key) => void load.run([key])} />)}
        rows={entries}
        error={error}
        stale={stale}
        id={(one) => one.key}
        href={(one) => (isFolder(one.key) ? at({ volume, folder: one.key }) : at({ volume, folder, after, file: one.key }))}
        name={(one) => visible(nameOf(one.key))}
        chosen={chosen}
        onChoose={setChosen}
        bulk={(rows) => (
          <>
            {rows.every((one) => !isFolder(one.key)) && (
              <Button variant="default" loading={load.busy} onClick={() => void load.run(rows.map((one) => one.key))}>
                Download
              </Button>
            )}
            {may && (
              <>
                <Button variant="default" onClick={() => begin('move', rows)}>
                  Move
                </Button>
                <Button variant="default" onClick={() => begin('copy', rows)}>
                  Copy
                </Button>
                <Button variant="default" color="red" onClick={() => begin('remove', rows)}>
                  Delete
                </Button>
              </>
            )}
          </>
        )}
        empty={empty ?? <Empty title="Nothing here">{may ? 'Drop files to upload them into this folder.' : 'The folder is empty.'}</Empty>}
      />
      <Rename {...dialog} opened={opened && doing?.what === 'rename'} entry={those[0]} />
      <Place {...dialog} opened={opened && (doing?.what === 'move' || doing?.what === 'copy')} copies={doing?.what === 'copy'} entries={those} then={done} />
      <Remove {...dialog} opened={opened && doing?.what === 'remove'} entries={those} then={done} />
    </>
  )
}

// Folders stand before files, whatever their rows are sorted by.
const before = (one: Entry) => (isFolder(one.key) ? '0' : '1')

const columns = (more: (one: Entry) => ReactNode): Column<Entry>[] => [
  { key: 'name', title: 'Name', text: (one) => nameOf(one.key), sort: (one) => before(one) + nameOf(one.key), cell: (one) => <Name one={one} /> },
  { key: 'size', title: 'Size', align: 'right', width: 110, sort: (one) => (isFolder(one.key) ? -1 : one.size), cell: (one) => !isFolder(one.key) && <Bytes value={one.size} /> },
  { key: 'modified', title: 'Modified', align: 'right', width: 130, from: 'sm', sort: (one) => (isFolder(one.key) ? 0 : one.modified), cell: (one) => !isFolder(one.key) && <Ago at={one.modified} /> },
  { key: 'type', title: 'Type', width: 200, from: 'lg', text: (one) => one.headers['content-type'] ?? '', sort: (one) => one.headers['content-type'] ?? '', cell: (one) => <span className="pc-dim">{one.headers['content-type']}</span> },
  { key: 'more', title: 'Actions', width: 48, align: 'right', cell: more },
]

function Name({ one }: { one: Entry }) {
  const Icon = isFolder(one.key) ? IconFolder : IconFile
  return (
    <span className={classes.name}>
      <Icon size={16} aria-hidden />
      <span>{visible(nameOf(one.key))}</span>
      {one.public && <IconWorld size={14} aria-label="public" role="img" />}
    </span>
  )
}

interface MoreProps {
  one: Entry
  may: boolean
  begin: (what: Doing['what'], entries: Entry[]) => void
  load: (key: string) => void
}

function More({ one, may, begin, load }: MoreProps) {
  if (!may && isFolder(one.key)) return null
  return (
    <Menu position="bottom-end" shadow="sm" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`More for ${visible(nameOf(one.key))}`}>
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {!isFolder(one.key) && (
          <Menu.Item leftSection={<IconDownload size={16} />} onClick={() => load(one.key)}>
            Download
          </Menu.Item>
        )}
        {may && (
          <>
            <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => begin('rename', [one])}>
              Rename
            </Menu.Item>
            <Menu.Item leftSection={<IconFolderSymlink size={16} />} onClick={() => begin('move', [one])}>
              Move
            </Menu.Item>
            <Menu.Item leftSection={<IconCopy size={16} />} onClick={() => begin('copy', [one])}>
              Copy
            </Menu.Item>
            <Menu.Divider />
            <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={() => begin('remove', [one])}>
              Delete
            </Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  )
}
