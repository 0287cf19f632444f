import { Button } from '@mantine/core'
import { IconExternalLink } from '@tabler/icons-react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { Copy, Section, useWho } from '~/parts'
import classes from './job.module.css'
import type { Job } from './shape'

const SSH = '22'

/** Where it listens, and how one gets there. */
export function Ports({ job }: { job: Job }) {
  const { scopes } = useWho()
  const open = useAction(async (port: number) => {
    const { url } = (await post('/v1/job/{jid}/link', { port }, { jid: job.jid })) as { url: string }
    window.open(url, '_blank', 'noopener')
  })
  const all = Object.entries(job.ports?.tcp ?? {})
  if (!all.length) return null
  return (
    <Section title="Ports">
      <ul className={`pc-card ${classes.ports}`}>
        {all.map(([port, at]) => (
          <li key={port}>
            <span className={classes.port}>{port === SSH ? 'ssh' : port}</span>
            <code className="pc-cut">{port === SSH ? `picloud ssh ${job.jid}` : `${at.address}:${at.port}`}</code>
            <span className={classes.portActions}>
              <Copy text={port === SSH ? `picloud ssh ${job.jid}` : `${at.address}:${at.port}`} label={port === SSH ? 'Copy the command' : `Copy the address of port ${port}`} />
              {port !== SSH && scopes.includes('jobs') && (
                <Button size="compact-xs" variant="default" rightSection={<IconExternalLink size={13} aria-hidden />} loading={open.busy} onClick={() => void open.run(Number(port))}>
                  Open
                </Button>
              )}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  )
}
