import { Button, Menu, Modal, Tabs } from '@mantine/core'
import { IconChevronDown, IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { to } from '~/layout/routes'
import { Ago, Bytes, type Column, Copy, Count, Empty, Page, Search, Snippet, Table, useQuery, useWho } from '~/parts'
import { Clone, Making } from './making'
import { Packages } from './packages'
import { type Environment, State } from './states'
import classes from './environments.module.css'

const CODE = `picloud env build sci --run 'mkdir /opt/data' --apt git
picloud exec -e sci 'ls /opt'`

/** What jobs can run in: one's own, the bases, everybody's public ones. */
export default function Environments() {
  const [query, setQuery] = useQuery('tab', 'text')
  const tab = query.tab ?? 'own'
  const may = useWho().scopes.includes('code')
  const [making, setMaking] = useState<'hand' | 'steps'>('hand')
  const [opened, setOpened] = useState(false)
  const begin = (how: typeof making) => {
    setMaking(how)
    setOpened(true)
  }
  const text = (query.text ?? '').toLowerCase()
  return (
    <Page
      title="Environments"
      about="File systems that jobs see: what is installed, at which versions."
      actions={
        may && (
          <Menu position="bottom-end" shadow="sm">
            <Menu.Target>
              <Button leftSection={<IconPlus size={14} />} rightSection={<IconChevronDown size={14} />}>
                New environment
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => begin('hand')}>By hand, from a base</Menu.Item>
              <Menu.Item onClick={() => begin('steps')}>Build from steps</Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )
      }
    >
      <Tabs value={tab} onChange={(chosen) => setQuery({ tab: chosen === 'own' ? undefined : (chosen ?? undefined), text: undefined })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="own">Own</Tabs.Tab>
          <Tabs.Tab value="bases">Bases</Tabs.Tab>
          <Tabs.Tab value="public">Public</Tabs.Tab>
        </Tabs.List>
        <div className={classes.stack} style={{ marginTop: '0.875rem' }}>
          <Search label="Search by name" value={query.text ?? ''} onChange={(words) => setQuery({ text: words })} pause={0} />
          <Tabs.Panel value="own">
            <Own text={text} />
          </Tabs.Panel>
          <Tabs.Panel value="bases">
            <Bases text={text} />
          </Tabs.Panel>
          <Tabs.Panel value="public">
            <Public text={text} may={may} />
          </Tabs.Panel>
        </div>
      </Tabs>
      <Making opened={opened} onClose={() => setOpened(false)} builds={making === 'steps'} />
    </Page>
  )
}

const holds = (text: string, ...words: string[]) => words.some((one) => one.toLowerCase().includes(text))

function Own({ text }: { text: string }) {
  const { data, error } = useLive('/v1/environment')
  const columns: Column<Environment>[] = [
    { key: 'name', title: 'Name', text: (one) => one.name, sort: (one) => one.name, cell: (one) => one.name },
    { key: 'state', title: 'State', width: 150, cell: (one) => <State one={one} /> },
    ...FACTS,
    { key: 'public', title: 'Public', from: 'lg', cell: (one) => (one.public ? 'yes' : '') },
    { key: 'modified', title: 'Modified', align: 'right', from: 'sm', sort: (one) => one.modified, cell: (one) => <Ago at={one.modified} /> },
  ]
  const none = data?.environments.length === 0
  return (
    <Table
      label="Own environments"
      columns={columns}
      rows={data?.environments.filter((one) => holds(text, one.name, one.description))}
      error={error}
      id={(one) => one.name}
      href={(one) => to.environment(one.name)}
      empty={
        none ? (
          <Empty title="No environments yet" more={<Snippet code={CODE} />}>
            Jobs run in base/host, the system of the server's machine, unless they name an environment: make one for what they need besides.
          </Empty>
        ) : (
          <Empty title="None of that name" />
        )
      }
    />
  )
}

const FACTS: Column<Environment>[] = [
  { key: 'base', title: 'Base', from: 'sm', text: (one) => one.base, sort: (one) => one.base, cell: (one) => one.base },
  { key: 'size', title: 'Size', align: 'right', sort: (one) => one.size, cell: (one) => <Bytes value={one.size} /> },
  { key: 'versions', title: 'Versions', align: 'right', from: 'sm', sort: (one) => one.versions, cell: (one) => <Count value={one.versions} /> },
  { key: 'description', title: 'Description', from: 'lg', text: (one) => one.description, cell: (one) => <span className="pc-dim">{one.description}</span> },
]

function Public({ text, may }: { text: string; may: boolean }) {
  const { data, error } = useLive('/v1/environment', { public: true })
  const [cloned, setCloned] = useState('')
  const [opened, setOpened] = useState(false)
  const columns: Column<Environment>[] = [
    { key: 'path', title: 'Name', text: (one) => one.path, sort: (one) => one.path, cell: (one) => one.path },
    ...FACTS,
    { key: 'modified', title: 'Modified', align: 'right', from: 'md', sort: (one) => one.modified, cell: (one) => <Ago at={one.modified} /> },
    {
      key: 'actions',
      title: 'Actions',
      align: 'right',
      cell: (one) =>
        may && (
          <Button
            variant="default"
            size="compact-xs"
            onClick={() => {
              setCloned(one.path)
              setOpened(true)
            }}
          >
            Clone
          </Button>
        ),
    },
  ]
  return (
    <>
      <Table
        label="Public environments"
        columns={columns}
        rows={data?.environments.filter((one) => holds(text, one.path, one.description))}
        error={error}
        id={(one) => one.path}
        href={(one) => `${to.environment(one.name)}?${new URLSearchParams({ owner: one.owner })}`}
        empty={<Empty title={text ? 'None of that name' : 'Nothing is public here'}>Everybody of this server may use and clone what somebody publishes.</Empty>}
      />
      <Clone path={cloned} opened={opened} onClose={() => setOpened(false)} />
    </>
  )
}

function Bases({ text }: { text: string }) {
  const { data, error } = useLive('/v1/environment/base')
  const [shown, setShown] = useState<string>()
  const columns: Column<Shape<'BaseShown'>>[] = [
    { key: 'name', title: 'Name', text: (one) => one.name, cell: (one) => one.name },
    { key: 'distro', title: 'System', text: (one) => one.distro, cell: (one) => one.distro },
    { key: 'python', title: 'Python', from: 'sm', cell: (one) => one.python_version ?? <span className="pc-dim">none</span> },
    { key: 'size', title: 'Size', align: 'right', cell: (one) => <Bytes value={one.created ? one.size : null} /> },
    { key: 'created', title: 'Made', align: 'right', from: 'sm', cell: (one) => <Ago at={one.created} /> },
    {
      key: 'actions',
      title: 'Actions',
      align: 'right',
      cell: (one) => (
        <>
          {one.created !== null && (
            <Button variant="default" size="compact-xs" onClick={() => setShown(one.name)}>
              Packages
            </Button>
          )}
        </>
      ),
    },
    { key: 'use', title: 'Use', from: 'md', cell: (one) => <Copy text={`picloud exec -e ${one.name} 'uname -a'`} label={`Copy a command that runs in ${one.name}`} /> },
  ]
  return (
    <>
      <Table label="Bases" columns={columns} rows={data?.bases.filter((one) => holds(text, one.name, one.distro))} error={error} id={(one) => one.name} empty={<Empty title="None of that name" />} />
      <Modal opened={shown !== undefined} onClose={() => setShown(undefined)} title={<strong>{`Packages of ${shown}`}</strong>} size="lg">
        {shown !== undefined && <Packages name={shown} />}
      </Modal>
    </>
  )
}
