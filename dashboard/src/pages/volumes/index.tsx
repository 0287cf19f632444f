import { ActionIcon, Button, Menu } from '@mantine/core'
import { IconDots, IconPlus, IconTrash } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, Bytes, type Column, Confirm, Count, Empty, Page, Snippet, Table, useConfirm, useQuery, useWho } from '~/parts'
import { files } from '~/parts/files/names'
import { Room } from '~/parts/files/Room'
import { Create } from './create'
import { Inside } from './inside'

type Volume = Shape<'VolumeShown'>

const CODE = `picloud volume create models models        # jobs see it as /home/picloud/models
picloud volume sync weights/ models:weights
picloud exec -v models 'ls -l ~/models'`

/** The account's volumes, or what is in one of them. */
export default function Volumes() {
  const [query] = useQuery('volume')
  return query.volume ? <Inside key={query.volume} name={query.volume} /> : <All />
}

function All() {
  const { data, error } = useLive('/v1/volume')
  const may = useWho().scopes.includes('bucket')
  const [making, setMaking] = useState(false)
  const ask = useConfirm<Volume>()
  const remove = useAction((name: string) => post('/v1/volume/delete', { name }), { said: 'The volume is deleted' })
  const about = ask.about
  return (
    <Page
      title="Volumes"
      about="Folders that jobs mount, and that outlive them."
      actions={
        may && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => setMaking(true)}>
            New volume
          </Button>
        )
      }
    >
      <Table
        label="Volumes"
        columns={columns(may ? (one) => <More one={one} onDelete={() => ask.open(one)} /> : undefined)}
        rows={data?.volumes}
        error={error}
        id={(one) => one.name}
        href={(one) => `/volumes?${new URLSearchParams({ volume: one.name })}`}
        empty={
          <Empty title="No volumes yet" more={<Snippet code={CODE} />}>
            A volume is a folder that jobs mount: for trees of files, for programs that expect a folder, for what a job leaves behind.
          </Empty>
        }
      />
      {data && data.volumes.length > 0 && <Room />}
      <Create opened={making} onClose={() => setMaking(false)} />
      <Confirm {...ask.dialog} title={`Delete the volume ${about?.name}?`} action="Delete" type={about && about.objects > 0 ? about.name : undefined} run={() => about && remove.run(about.name)}>
        {about?.host ? 'The folder of the machine stays as it is.' : about && `${files(about.objects)} in it are lost. This cannot be undone.`}
      </Confirm>
    </Page>
  )
}

const columns = (more?: Column<Volume>['cell']): Column<Volume>[] => [
  { key: 'name', title: 'Name', text: (one) => one.name, sort: (one) => one.name, cell: (one) => one.name },
  { key: 'mount', title: 'Jobs see it as', text: (one) => one.mount, cell: (one) => <span className="pc-mono">{one.mount}</span> },
  { key: 'files', title: 'Files', align: 'right', sort: (one) => one.objects, cell: (one) => (one.host ? <Count value={null} /> : <Count value={one.objects} />) },
  { key: 'size', title: 'Size', align: 'right', sort: (one) => one.bytes, cell: (one) => (one.host ? <Bytes value={null} /> : <Bytes value={one.bytes} />) },
  { key: 'host', title: 'Folder of the machine', from: 'md', text: (one) => one.host, cell: (one) => one.host && <span className="pc-mono">{one.host}{one.read_only && ' (read only)'}</span> },
  { key: 'description', title: 'Description', from: 'lg', text: (one) => one.description, cell: (one) => <span className="pc-dim">{one.description}</span> },
  { key: 'created', title: 'Created', align: 'right', from: 'sm', sort: (one) => one.created, cell: (one) => <Ago at={one.created} /> },
  ...(more ? [{ key: 'more', title: 'Actions', align: 'right' as const, width: 48, cell: more }] : []),
]

function More({ one, onDelete }: { one: Volume; onDelete: () => void }) {
  return (
    <Menu position="bottom-end" shadow="sm">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`More for ${one.name}`}>
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={onDelete}>
          Delete
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
