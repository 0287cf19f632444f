import { Button } from '@mantine/core'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import { Ago } from '~/parts'
import classes from './admin.module.css'

/** Says where jobs are held since the installation was restored, and lets them go. */
export function Held() {
  const { data } = useLive('/v1/status')
  const resume = useAction(() => post('/v1/operator/resume', {}), { said: 'Jobs run again' })
  if (!data || data.held === null) return null
  return (
    <div role="status" className={classes.held}>
      <span>
        Jobs are held since this installation was restored, <Ago at={data.held} />. See that all is as it should be, then let them run.
      </span>
      <Button loading={resume.busy} onClick={() => void resume.run()}>
        Let them run
      </Button>
    </div>
  )
}
