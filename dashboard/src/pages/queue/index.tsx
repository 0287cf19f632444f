import { ActionIcon, Anchor, Button, Menu } from '@mantine/core'
import { IconDots, IconPlayerPause, IconPlayerPlay, IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to, useSubject } from '~/layout/routes'
import { Confirm, Empty, ErrorBox, format, Page, useConfirm, useWho } from '~/parts'
import { State } from '../queues/table'
import { Throughput } from './chart'
import { Figures } from './figures'
import { Handler } from './handler'
import { Letters } from './letters'
import { Messages } from './messages'
import { Push } from './push'

const CRUMBS = [{ title: 'Queues', href: '/queues' }]

/** One queue: what waits in it, what its handler does, what failed. */
export default function QueuePage() {
  const name = useSubject()
  const [minutes, show] = useState(10)
  const { data, error } = useLive('/v1/queue/{queue}', { queue: name, minutes })
  if (!data && error)
    return (
      <Page title={name} crumbs={CRUMBS}>
        {error.status === 404 || error.code === 'not_found' ? (
          <div className="pc-card">
            <Empty title="There is no such queue" more={<Link href="/queues">All queues</Link>}>
              It was deleted, or nothing was ever pushed into it.
            </Empty>
          </div>
        ) : (
          <ErrorBox error={error} />
        )}
      </Page>
    )
  return (
    <Page title={name} crumbs={CRUMBS} beside={data && <State queue={data} />} actions={data && <Actions queue={data} />}>
      <Figures queue={data} />
      <Throughput queue={data} minutes={minutes} show={show} />
      <Handler queue={data} name={name} />
      <Messages name={name} />
      <Letters name={name} count={data?.dead} />
    </Page>
  )
}

function Actions({ queue }: { queue: Shape<'InsideWhole'> }) {
  const { name, paused } = queue
  const may = useWho().scopes.includes('queue')
  const [, go] = useLocation()
  const [pushing, push] = useState(false)
  const pause = useAction((on: boolean) => post('/v1/queue/change', { name, paused: on }))
  const purge = useAction(() => post('/v1/queue/purge', { name }), { said: ({ removed }) => `${format.count(removed)} messages are removed` })
  const remove = useAction(() => post('/v1/queue/delete', { name }), { said: 'The queue is deleted', then: () => go('/queues') })
  const purging = useConfirm()
  const removing = useConfirm()
  const jobs = linked(to.jobs({ queue: name }))
  return (
    <>
      {jobs && (
        <Anchor component={Link} href={jobs} size="sm" mr="xs">
          View jobs
        </Anchor>
      )}
      {may && (
        <>
          <Button variant="default" loading={pause.busy} leftSection={paused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />} onClick={() => void pause.run(!paused)}>
            {paused ? 'Resume' : 'Pause'}
          </Button>
          <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={() => push(true)}>
            Push a message
          </Button>
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="default" size={30} aria-label="More actions">
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => purging.open(true)}>Purge: remove what waits</Menu.Item>
              <Menu.Item c="var(--pc-bad)" onClick={() => removing.open(true)}>
                Delete the queue
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </>
      )}
      <Push name={name} opened={pushing} close={() => push(false)} />
      <Confirm {...purging.dialog} title="Remove all messages that wait?" action="Purge" run={() => purge.run()}>
        {format.count(queue.count)} messages of {name} will be gone, unread. What handlers have in hand, and dead letters, stay.
      </Confirm>
      <Confirm {...removing.dialog} title="Delete this queue?" action="Delete" type={name} run={() => remove.run()}>
        All that is in it goes with it: messages, dead letters, its handler and its history. Handlers that push into it make it anew.
      </Confirm>
    </>
  )
}
