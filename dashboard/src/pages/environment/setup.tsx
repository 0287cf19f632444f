import { Button } from '@mantine/core'
import { IconTerminal2 } from '@tabler/icons-react'
import { useState } from 'react'
import { Link } from 'wouter'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Duration, Section, Snippet } from '~/parts'
import { Terminal } from '~/parts/Terminal'
import classes from '../environments/environments.module.css'
import type { Environment } from '../environments/states'

/** The setup server: a job in which the environment is changed. */
export function Setup({ one, jid }: { one: Environment; jid: number }) {
  const [opened, setOpened] = useState(false)
  const job = linked(to.job(jid))
  const ready = one.action === 'edit' || one.action === 'save_error'
  return (
    <Section title="Setup server">
      <div className={`pc-card ${classes.card}`}>
        <div className={classes.line}>
          <span>
            {ready ? 'Change it here, then save it.' : one.action === 'save' ? 'It is being saved.' : 'It starts.'} {job ? <Link href={job}>Job {jid}</Link> : `Job ${jid}`}
            {one.setup_since !== null && (
              <span className="pc-dim">
                , for <Duration from={one.setup_since} />
              </span>
            )}
          </span>
          {ready && (
            <Button variant="default" className={classes.push} leftSection={<IconTerminal2 size={14} />} onClick={() => setOpened(!opened)}>
              {opened ? 'Close the terminal' : 'Open a terminal'}
            </Button>
          )}
        </div>
        {ready && opened && (
          <div className={classes.terminal}>
            <Terminal jid={jid} />
          </div>
        )}
        {ready && <Snippet title="Or from your machine; files in home, /tmp and /run are not saved" code={`picloud env ssh ${one.name} pip install cowsay\npicloud env rsync folder/ ${one.name}:/opt/folder/`} />}
      </div>
    </Section>
  )
}
