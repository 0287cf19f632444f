import { ActionIcon, Button, Menu } from '@mantine/core'
import { IconCopyPlus, IconDots, IconPlayerStop, IconRefresh, IconTerminal2, IconTrash } from '@tabler/icons-react'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Confirm, useConfirm, useWho } from '~/parts'
import { Clone } from './clone'
import { isOver, type Job } from './shape'

/** What one may do with a job. */
export function Actions({ job, onTerminal }: { job: Job; onTerminal: () => void }) {
  const { scopes } = useWho()
  const [, go] = useLocation()
  const [cloning, setCloning] = useState(false)
  const { jid } = job
  const ask = useConfirm<'kill' | 'delete'>()
  const kill = useAction(() => post('/v1/job/kill', body(jid)), { said: `Job ${jid} is being ended` })
  const drop = useAction(() => post('/v1/job/delete', body(jid)), { said: `Job ${jid} is deleted`, then: () => go(linked(to.jobs()) ?? '/') })
  const rerun = useAction(() => post('/v1/job/rerun', { ...body(jid), token: token() }), {
    said: 'It runs once more, as a new job',
    then: (answer) => {
      const first = (answer as { jids?: [number, number][] }).jids?.[0]?.[0]
      if (first !== undefined) go(to.job(first))
    },
  })
  const over = isOver(job)
  const may = scopes.includes('jobs')
  const code = scopes.includes('code')
  return (
    <>
      {code && job.status === 'processing' && (
        <Button variant="default" leftSection={<IconTerminal2 size={15} aria-hidden />} onClick={onTerminal}>
          Terminal
        </Button>
      )}
      {may && over && (
        <Button variant="default" leftSection={<IconRefresh size={15} aria-hidden />} loading={rerun.busy} onClick={() => void rerun.run()}>
          Rerun
        </Button>
      )}
      {may && code && (
        <Button variant="default" leftSection={<IconCopyPlus size={15} aria-hidden />} onClick={() => setCloning(true)}>
          Clone…
        </Button>
      )}
      {may && !over && (
        <Button variant="default" c="var(--pc-bad)" leftSection={<IconPlayerStop size={15} aria-hidden />} onClick={() => ask.open('kill')}>
          Kill
        </Button>
      )}
      {may && over && (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="default" size={30} aria-label="More actions">
              <IconDots size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconTrash size={15} aria-hidden />} color="var(--pc-bad)" onClick={() => ask.open('delete')}>
              Delete…
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
      <Clone job={job} opened={cloning} onClose={() => setCloning(false)} />
      <Confirm
        {...ask.dialog}
        title={ask.about === 'delete' ? `Delete job ${jid}?` : `Kill job ${jid}?`}
        action={ask.about === 'delete' ? 'Delete' : 'Kill'}
        run={() => (ask.about === 'delete' ? drop.run() : kill.run())}
      >
        {ask.about === 'delete' ? 'It is forgotten with its result and output.' : 'It ends at once, without a result. What it printed stays.'}
      </Confirm>
    </>
  )
}

const body = (jid: number) => ({ jids: [[jid, 1] as [number, number]] })

/** A request that is repeated with it makes no second job. */
const token = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
