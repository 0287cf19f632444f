import { Menu, UnstyledButton, useMantineColorScheme } from '@mantine/core'
import { IconKeyboard, IconLogout, IconSelector, IconUser } from '@tabler/icons-react'
import { Link, useLocation } from 'wouter'
import { logOut } from '~/api/login'
import { PAGES } from '~/pages'
import classes from './shell.module.css'
import { useWho } from './who'

const SCHEMES = [
  { value: 'auto', title: 'As the system' },
  { value: 'light', title: 'Light' },
  { value: 'dark', title: 'Dark' },
] as const

/** Who is logged in, for which account; the look, the keys, the way out. */
export function AccountMenu({ onHelp }: { onHelp: () => void }) {
  const who = useWho()
  const [, go] = useLocation()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const name = who.user || who.account
  return (
    <Menu position="top-start" width={220} shadow="sm">
      <Menu.Target>
        <UnstyledButton className={classes.account}>
          <span className={classes.face} aria-hidden>
            {name.charAt(0).toUpperCase()}
          </span>
          <span className="pc-unseen">Account menu of</span>
          <span className={classes.names}>
            <span className="pc-cut" title={name}>
              {name}
            </span>
            <span className="pc-cut pc-dim" title={who.account}>
              {who.account === name ? who.role : `${who.account} · ${who.role}`}
            </span>
          </span>
          <IconSelector size={16} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        {'/account' in PAGES && (
          <Menu.Item component={Link} href="/account" leftSection={<IconUser size={16} />}>
            Account
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconKeyboard size={16} />} onClick={onHelp}>
          Keys
        </Menu.Item>
        <Menu.Label>Look</Menu.Label>
        <Menu.RadioGroup value={colorScheme} onChange={(value) => setColorScheme(value as typeof colorScheme)}>
          {SCHEMES.map(({ value, title }) => (
            <Menu.RadioItem key={value} value={value}>
              {title}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void logOut().then(() => go('/login', { replace: true }))}>
          Log out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
